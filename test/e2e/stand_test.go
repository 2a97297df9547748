//go:build e2e

package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/test/lab/site"
	"github.com/sealift/sealift/test/sites"
)

// standing says what TestStand does, and for whom.
var standing = struct {
	site, install *bool
	bootstrap     *string
	controlPlanes *int
}{
	site:          flag.Bool("site", false, "let a site stand, and open a shell on its jump host"),
	install:       flag.Bool("install", false, "install on it first"),
	bootstrap:     flag.String("bootstrap", "local", "`what` the cluster is made from: local or kind"),
	controlPlanes: flag.Int("control-planes", 1, "`number` of control planes: 1, 3 or 5"),
}

// jumpShell is what the shell on the jump host reads first.
const jumpShell = `PS1='jump host $ '
source <(sealift completion bash)
`

// TestStand lets a dark site stand for a person, who has a shell on its jump
// host; make lab-site and make lab-install run it. The site goes with the shell.
func TestStand(t *testing.T) {
	if !*standing.site {
		t.Skip("for people: make lab-site, make lab-install")
	}
	signal.Notify(make(chan os.Signal, 1), os.Interrupt) // it is for what runs at the terminal
	restore, err := site.RaiseWatches()
	require.NoError(t, err)
	t.Cleanup(func() { _ = restore() })
	log.SetOutput(io.Discard) // servers tell there of clients that leave
	say("making the site: networks, a vCenter, a registry, and the bundles")
	e := newEnterprise(t, *standing.bootstrap, *standing.controlPlanes)
	if *standing.bootstrap == "kind" {
		e.jumpEngine(t)
	}
	e.nextBundle(t, true)
	install := []string{"install", "-f", "site.yaml", "--bundle", "enterprise.tar", "--key", "cosign.pub"}
	if !*standing.install {
		say("install with: sealift " + strings.Join(install, " "))
	} else if err := e.attached(t, "sealift", install...); err != nil {
		say("the installation: " + err.Error())
	}
	e.write(t, "bashrc", jumpShell)
	say("a shell on the jump host, in the folder of site.yaml; all of the site goes when it ends")
	_ = e.attached(t, "bash", "--rcfile", "bashrc", "-i") // the exit code is that of the person's last command
	say("removing the site")
}

// say tells the person what happens.
func say(text string) { fmt.Fprintln(os.Stderr, "\n==> "+text) }

// attached runs a program on the jump host at this terminal.
func (e *enterprise) attached(t *testing.T, program string, args ...string) error {
	cmd := e.jump.Command(context.WithoutCancel(t.Context()), program, args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = e.dir, os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), append(e.variables, "KUBECONFIG="+filepath.Join(e.dir, ".local", "state", "sealift", sites.Name, "kubeconfig"),
		"PATH="+filepath.Dir(e.programs["sealift"])+":"+filepath.Dir(e.programs["kubectl"])+":"+os.Getenv("PATH"))...)
	return cmd.Run()
}
