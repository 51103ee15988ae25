# Policy tarnhelm-restore: replace all that the server holds by a snapshot. Nobody has it in ordinary times: give it
# to a token that lives for one restore, while the server listens on its loopback address alone, and take it back.

path "sys/storage/raft/snapshot-force" {
  capabilities = ["update"]
}

# Its own private store: a mark there is gone when the storage was replaced, which is later than the server's answer.
path "cubbyhole/tarnhelm-restore" {
  capabilities = ["create", "update", "read"]
}

# Its own token.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
