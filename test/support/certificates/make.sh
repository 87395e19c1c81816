set -e
work=$(mktemp -d)
touch "$work/index.txt"
cat > "$work/ca.cnf" <<CONFIG
[ca]
default_ca = test
[test]
database = $work/index.txt
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = subject
x509_extensions = extensions
unique_subject = no
[subject]
commonName = supplied
[extensions]
subjectAltName = DNS:localhost,IP:127.0.0.1
CONFIG
for name in server client; do
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj "/CN=$name" \
    -keyout "$name-key.pem" -out "$work/$name.csr"
  # `ca` rather than `req -x509`, which cannot set the first day before OpenSSL 3.4
  openssl ca -batch -selfsign -notext -config "$work/ca.cnf" -keyfile "$name-key.pem" \
    -startdate 20200101000000Z -enddate 21200101000000Z -in "$work/$name.csr" -out "$name.pem"
done
rm -r "$work"
