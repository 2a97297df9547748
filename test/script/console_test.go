package script_test

import (
	"context"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	"github.com/sealift/sealift/test/consoles"
)

// console DIR [HOST] starts a console on a folder. Its address is in
// SEALIFT_CONSOLE, its certificate in DIR/ca.crt and tokens of the first account
// in DIR/token (everything) and DIR/reader (reading tenants). With HOST it may
// change a certificate of its own for that, DIR/tls.crt with DIR/tls.key.
func console(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	s, err := bolt.Open(filepath.Join(dir, "console.db"))
	ts.Check(err)
	keeper, err := seal.File(filepath.Join(dir, "master.key"))
	ts.Check(err)
	ctx := context.Background()
	opts := systemconsole.Options{Store: s, Keeper: keeper, FailureTime: time.Millisecond, Uploads: filepath.Join(dir, "uploads")}
	if len(args) > 1 {
		opts.CertFile, opts.KeyFile, err = systemconsole.SelfSigned(dir, args[1])
		ts.Check(err)
	}
	handler, err := systemconsole.New(ctx, opts)
	ts.Check(err)
	server := httptest.NewTLSServer(handler)
	ts.Defer(func() {
		server.Close()
		_ = s.Close()
	})
	accounts := auth.New(s, audit.New(s, audit.Options{}), auth.Options{Keeper: keeper})
	id, err := consoles.First(ctx, accounts)
	ts.Check(err)
	for file, scopes := range map[string][]auth.Permission{"token": auth.Permissions(), "reader": {auth.ReadTenants}} {
		text, _, err := accounts.CreateToken(ctx, id, auth.NewToken{Label: file, Scopes: scopes, Days: 1})
		ts.Check(err)
		ts.Check(os.WriteFile(filepath.Join(dir, file), []byte(text+"\n"), 0o600))
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	ts.Check(os.WriteFile(filepath.Join(dir, "ca.crt"), ca, 0o600))
	ts.Setenv("SEALIFT_CONSOLE", server.URL)
}
