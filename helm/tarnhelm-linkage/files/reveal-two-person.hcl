# Policy tarnhelm-reveal with OpenBao's control group as an additional lock: each decryption waits until a member
# of the identity group "tarnhelm-approvers" has let it pass. Tarnhelm's own approvals are checked all the same.
#
# What is let pass is wrapped, and whoever holds the wrapping token may unwrap it: one more reason for the short ttl.

path "transit/hmac/tarnhelm-root-*" {
  capabilities        = ["update"]
  required_parameters = ["key_version"]
  allowed_parameters = {
    "input"       = []
    "key_version" = ["1"]
  }
}

path "transit/decrypt/tarnhelm-seal-*" {
  capabilities = ["update"]
  allowed_parameters = {
    "batch_input" = []
  }
  control_group = {
    ttl = "10m"
    factor "approvers" {
      controlled_capabilities = ["update"]
      identity {
        group_names = ["tarnhelm-approvers"]
        approvals   = 1
      }
    }
  }
}

# To look at, and to fetch, what was let pass.
path "sys/control-group/request" {
  capabilities = ["update"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}

# Its own token.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
