# Policy tarnhelm-backup: take a snapshot of the whole server, and nothing else. What it gets is the server's storage
# as it lies on the disk, encrypted with the barrier key; Tarnhelm seals it to the recovery key besides. Keys cannot
# be exported with it: only a server that is unsealed with the old unseal keys can use a snapshot.

path "sys/storage/raft/snapshot" {
  capabilities = ["read"]
}

# Its own token.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
