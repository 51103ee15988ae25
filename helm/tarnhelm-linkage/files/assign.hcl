# Policy tarnhelm-assign: derive pseudonyms, and write the way back. Nothing is read with it.
#
# There is no "create" anywhere: to encrypt with a key that is not there would make it, and so bring a destroyed
# project's key name back to life. The engine compares the allowed values as text, hence "1".

# Pseudonyms of a project's epoch: the first version of its root key, and no other.
path "transit/hmac/tarnhelm-root-*" {
  capabilities        = ["update"]
  required_parameters = ["key_version"]
  allowed_parameters = {
    "input"       = []
    "key_version" = ["1"]
  }
}

# The way back, sealed to the project's key. Lists only; no parameter that chooses a key's type.
path "transit/encrypt/tarnhelm-seal-*" {
  capabilities = ["update"]
  allowed_parameters = {
    "batch_input" = []
  }
}

# Its own token.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
