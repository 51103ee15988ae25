# Policy for members of the identity group "tarnhelm-approvers": people who let a decryption of the way back pass
# (reveal-two-person.hcl). It opens nothing by itself.

# To look at what waits, and to let it pass.
path "sys/control-group/request" {
  capabilities = ["update"]
}
path "sys/control-group/authorize" {
  capabilities = ["update"]
}

# Their own token.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
