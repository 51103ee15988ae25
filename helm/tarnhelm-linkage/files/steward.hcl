# Policy tarnhelm-steward: the life of keys. Neither encrypt nor decrypt, no export, no backup, no import.

# Subject tags, for merging, withdrawing and lists.
path "transit/hmac/tarnhelm-root-*" {
  capabilities        = ["update"]
  required_parameters = ["key_version"]
  allowed_parameters = {
    "input"       = []
    "key_version" = ["1"]
  }
}

# Root keys: made as HMAC keys that cannot be exported (the default, and no parameter to say otherwise), and deleted.
# The engine wants deletion_allowed for that; Tarnhelm sets it while a project is destroyed and never else.
path "transit/keys/tarnhelm-root-*" {
  capabilities = ["read", "update", "delete"]
  allowed_parameters = {
    "type"             = ["hmac"]
    "key_size"         = []
    "deletion_allowed" = [true]
  }
}

# Seal keys: made as derived keys, rotated, old versions closed, deleted.
path "transit/keys/tarnhelm-seal-*" {
  capabilities = ["read", "update", "delete"]
  allowed_parameters = {
    "type"                   = ["aes256-gcm96"]
    "derived"                = [true]
    "min_decryption_version" = []
    "deletion_allowed"       = [true]
  }
}

# The names of the keys, so that destroying a project finds the root of every epoch.
path "transit/keys" {
  capabilities = ["list"]
}

# Records sealed anew with the latest version; the plaintext stays in the server.
path "transit/rewrap/tarnhelm-seal-*" {
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
