package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/sealift/sealift/test/images"
)

// loginTime is how long the console may take to answer.
const loginTime = 10 * time.Second

// runConsole takes the program out of the image in the dark registry, not the
// one that was compiled here, and runs the console with it.
func (d *demo) runConsole() (string, error) {
	ref, program := d.dark.host+"/site/sealift/cli@"+d.digests[suite], filepath.Join(d.dir, "pulled", "sealift")
	if err := images.Program(ref, "usr/bin/"+filepath.Base(d.sealift), program); err != nil {
		return "", err
	}
	fmt.Printf("sealift is taken out of %s\n", ref)
	if err := d.startProgram(&d.console, program, "console", "--data", "console"); err != nil {
		return "", err
	}
	return d.console.host, d.seeLogin()
}

// seeLogin looks whether the console shows its login, as a browser that knows
// its certificate.
func (d *demo) seeLogin() error {
	certificate, err := os.ReadFile(filepath.Join(d.dir, "console", "tls.crt"))
	if err != nil {
		return err
	}
	known := x509.NewCertPool()
	known.AppendCertsFromPEM(certificate)
	client := &http.Client{Timeout: loginTime, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: known, MinVersion: tls.VersionTLS12}}}
	req, err := http.NewRequestWithContext(d.ctx, http.MethodGet, d.console.host+"/login", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	page, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && (resp.StatusCode != http.StatusOK || !strings.Contains(string(page), `name="password"`)) {
		err = errors.New("the console shows no login: " + resp.Status)
	}
	return err
}

// linger leaves the console to the person at the terminal, until Ctrl-C.
func (d *demo) linger() {
	fmt.Printf("\nThe console runs at %s: log in as admin with the password admin.\n", d.console.host)
	if !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stdout.Fd())) {
		fmt.Println("Nobody is at a terminal: it ends now.")
		return
	}
	fmt.Println("Its certificate is its own, so the browser asks. Ctrl-C ends it, and removes all that the demo made.")
	<-d.ctx.Done()
}
