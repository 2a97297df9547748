package script_test

import (
	"context"
	"os"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sealift/sealift/test/lab/vcenter"
)

// vcenter NAME starts a vCenter, puts its HOST:PORT into $NAME, the certificate
// of its authority into the file NAME.crt, and the login of the user for
// installations into $NAME_USERNAME and $NAME_PASSWORD.
func vCenter(ts *testscript.TestScript, _ bool, args []string) {
	v, err := vcenter.Start(context.Background(), vcenter.Options{})
	ts.Check(err)
	ts.Defer(v.Close)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".crt"), v.Authority(), 0o600))
	ts.Setenv(args[0], v.URL().Host)
	ts.Setenv(args[0]+"_USERNAME", vcenter.Installer().Name)
	ts.Setenv(args[0]+"_PASSWORD", vcenter.Installer().Password)
}
