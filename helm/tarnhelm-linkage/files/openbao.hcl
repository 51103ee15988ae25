# Configuration of an OpenBao server for Tarnhelm. Paths and names are examples; the settings are what the tests run with.

storage "raft" {
  path    = "/var/lib/openbao"
  node_id = "one"
}

listener "tcp" {
  address         = "0.0.0.0:8200"
  cluster_address = "0.0.0.0:8201"
  tls_cert_file   = "/etc/openbao/tls/server.pem"
  tls_key_file    = "/etc/openbao/tls/server.key"
  tls_min_version = "tls13"

  # Who has no token can neither begin a new set of unseal keys nor a new root token.
  disable_unauthed_rekey_endpoints = true
}

# Every request and answer, values as keyed digests. Without a working audit device the server answers nobody.
# Never set log_raw: it would write the identifiers themselves.
audit "file" "file" {
  options {
    file_path = "/var/log/openbao/audit.log"
    mode      = "0600"
  }
}

api_addr     = "https://vault.example:8200"
cluster_addr = "https://vault.example:8201"
