# Policy tarnhelm-reveal: open the way back for an approved case. It cannot write one.
#
# Where two people shall be needed on the server's side too, load reveal-two-person.hcl instead.

# To find a subject and its series again by deriving, as assign did.
path "transit/hmac/tarnhelm-root-*" {
  capabilities        = ["update"]
  required_parameters = ["key_version"]
  allowed_parameters = {
    "input"       = []
    "key_version" = ["1"]
  }
}

# The way back.
path "transit/decrypt/tarnhelm-seal-*" {
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
