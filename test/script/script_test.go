// Package script_test runs the command line as its users do: one script a
// subject, in testdata.
package script_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/testscript"
	"helm.sh/helm/v3/pkg/repo"

	"github.com/sealift/sealift/bundles/charts"
	"github.com/sealift/sealift/cmd/sealift/cli"
	"github.com/sealift/sealift/mirror/serve"
	"github.com/sealift/sealift/test/images"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sealift": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			os.Exit(cli.Run(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
		},
	})
}

func TestScripts(t *testing.T) {
	vectors, err := filepath.Abs("../vectors")
	if err != nil {
		t.Fatal(err)
	}
	cosign, err := filepath.Abs("../../.tools/bin/cosign")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("COSIGN_PASSWORD", "a passphrase")
			env.Setenv("DOCKER_CONFIG", filepath.Join(env.WorkDir, ".docker"))
			env.Setenv("VECTORS", vectors)
			env.Setenv("COSIGN", cosign)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"agekey": agekey, "join": join, "s3": s3, "files": files,
			"registry": registry, "image": image, "imagefiles": imageFiles, "pull": pull, "flip": flip, "code": code, "subst": subst,
			"console": console, "chart": chart, "chartrepo": chartRepo, "timeless": timeless, "vcenter": vCenter, "line": line,
		},
		RequireExplicitExec: true,
	})
}

// line FILE NAME puts the text of a file, or of stdout, into $NAME.
func line(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[1], strings.TrimSpace(ts.ReadFile(args[0])))
}

// registry NAME [CAFILE] starts a writable registry and puts its HOST:PORT into
// $NAME. With CAFILE it has TLS, and its authority is written there.
func registry(ts *testscript.TestScript, _ bool, args []string) {
	h, closeRegistry, err := serve.Registry(context.Background(), serve.RegistryOptions{Data: ts.MkAbs(args[0])})
	ts.Check(err)
	server := httptest.NewUnstartedServer(h)
	if len(args) > 1 {
		server.StartTLS()
		ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), ca, 0o600))
	} else {
		server.Start()
	}
	ts.Defer(func() {
		server.Close()
		_ = closeRegistry()
	})
	ts.Setenv(args[0], server.Listener.Addr().String())
}

// image REF SEED PLATFORM... pushes an image.
func image(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(images.Push(args[0], args[1], 4000, args[2:]...))
}

// imagefiles REF FOLDER pushes an image for linux/amd64 with the files of a folder.
func imageFiles(ts *testscript.TestScript, _ bool, args []string) {
	_, err := images.PushFiles(args[0], "linux/amd64", ts.MkAbs(args[1]))
	ts.Check(err)
}

// pull REF [MISSING-PLATFORM...] reads an image whole and prints its digest to stdout.
func pull(ts *testscript.TestScript, neg bool, args []string) {
	digest, err := images.Pull(args[0], args[1:]...)
	if neg != (err != nil) {
		ts.Fatalf("pull %v: %v", args, err)
	}
	fmt.Fprintln(ts.Stdout(), digest)
}

// flip FILE OFFSET changes one bit; a negative offset counts from the end.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 1
	ts.Check(os.WriteFile(path, data, 0o600))
}

// code N COMMAND... checks an exit code.
func code(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// subst FILE replaces $NAME by the environment in a file.
func subst(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	ts.Check(os.WriteFile(path, []byte(os.Expand(string(data), ts.Getenv)), 0o600))
}

// chart FILE NAME VERSION IMAGE makes a packed chart whose values name an image.
func chart(ts *testscript.TestScript, _ bool, args []string) {
	c, err := charts.LoadFS(fstest.MapFS{
		"Chart.yaml": {Data: fmt.Appendf(nil, "apiVersion: v2\nname: %s\nversion: %s\n", args[1], args[2])},
		"templates/pod.yaml": {Data: fmt.Appendf(nil,
			"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: %q}]}\n", args[3])}})
	ts.Check(err)
	path := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o700))
	ts.Check(os.WriteFile(path, c.Archive, 0o600))
}

// chartrepo NAME serves a folder over HTTP, with an index of the charts in it, and
// puts its URL into $NAME.
func chartRepo(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	files := http.FileServer(http.Dir(dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/index.yaml" {
			files.ServeHTTP(w, r)
			return
		}
		index, err := repo.IndexDirectory(dir, "")
		if err == nil {
			err = json.NewEncoder(w).Encode(index)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	ts.Defer(server.Close)
	ts.Setenv(args[0], server.URL)
}

// timeless FILE... puts one time into receipts, so that they can be compared.
func timeless(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		path := ts.MkAbs(name)
		data, err := os.ReadFile(path)
		ts.Check(err)
		ts.Check(os.WriteFile(path, regexp.MustCompile(`"time":"[^"]*"`).ReplaceAll(data, []byte(`"time":""`)), 0o600))
	}
}
