package script_test

import (
	"encoding/pem"
	"net/http/httptest"
	"os"

	"filippo.io/age"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sealift/sealift/test/stores"
)

// files NAME DIR serves the files of a folder, with TLS at $NAME, whose authority
// is in NAME.crt, and without at $NAME_plain.
func files(ts *testscript.TestScript, _ bool, args []string) {
	h := stores.WebHandler(ts.MkAbs(args[1]))
	secure, plain := httptest.NewTLSServer(h), httptest.NewServer(h)
	ts.Defer(secure.Close)
	ts.Defer(plain.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".crt"), ca, 0o600))
	ts.Setenv(args[0], secure.URL)
	ts.Setenv(args[0]+"_plain", plain.URL)
	ts.Setenv(args[0]+"_host", plain.Listener.Addr().String())
}

// s3 BUCKET... starts an S3 store and puts it into the environment.
func s3(ts *testscript.TestScript, _ bool, args []string) {
	h, err := stores.S3Handler(args...)
	ts.Check(err)
	server := httptest.NewServer(h)
	ts.Defer(server.Close)
	for name, value := range stores.S3Environment(server.URL) {
		ts.Setenv(name, value)
	}
}

// agekey NAME writes a private key of age to NAME.txt and puts the public one into $NAME.
func agekey(ts *testscript.TestScript, _ bool, args []string) {
	id, err := age.GenerateX25519Identity()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".txt"), []byte(id.String()+"\n"), 0o600))
	ts.Setenv(args[0], id.Recipient().String())
}

// join NEW FILE... writes files one after the other into a new one, as cat does.
func join(ts *testscript.TestScript, _ bool, args []string) {
	var out []byte
	for _, a := range args[1:] {
		data, err := os.ReadFile(ts.MkAbs(a))
		ts.Check(err)
		out = append(out, data...)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out, 0o600))
}
