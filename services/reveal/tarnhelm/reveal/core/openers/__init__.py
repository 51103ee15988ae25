"""What opens sealed records: the seam (`base`) and the custodian's private key (`local`)."""
