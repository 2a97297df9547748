// Package faults_test kills, interrupts and starves runs of the command line,
// and checks that the next run completes them as if nothing had happened.
package faults_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/cmd/sealift/cli"
	"github.com/sealift/sealift/mirror/serve"
	"github.com/sealift/sealift/test/images"
)

// asSealift makes this test binary be the command line.
const asSealift = "SEALIFT_FAULTS_RUN_CLI"

func TestMain(m *testing.M) {
	if os.Getenv(asSealift) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(cli.Run(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}

// kills is how often a run is killed before it may end.
const kills = 20

// slow makes a registry move at most so many bytes a second on each
// connection, so that there is time to kill.
func slow(h http.Handler, perSecond int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			r.Body = slowBody{r.Body, perSecond}
			w = slowWriter{w, perSecond}
		}
		h.ServeHTTP(w, r)
	})
}

type slowWriter struct {
	http.ResponseWriter
	perSecond int
}

func (s slowWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		chunk := p[:min(len(p), 32<<10)]
		time.Sleep(time.Duration(len(chunk)) * time.Second / time.Duration(s.perSecond))
		var m int
		m, err = s.ResponseWriter.Write(chunk)
		n, p = n+m, p[m:]
	}
	return n, err
}

type slowBody struct {
	body interface {
		Read(p []byte) (int, error)
		Close() error
	}
	perSecond int
}

func (s slowBody) Read(p []byte) (int, error) {
	n, err := s.body.Read(p[:min(len(p), 32<<10)])
	time.Sleep(time.Duration(n) * time.Second / time.Duration(s.perSecond))
	return n, err
}

func (s slowBody) Close() error { return s.body.Close() }

// startRegistry starts a registry on a folder and returns its host.
func startRegistry(t *testing.T, perSecond int) string {
	h, closeRegistry, err := serve.Registry(t.Context(), serve.RegistryOptions{Data: t.TempDir()})
	require.NoError(t, err)
	server := httptest.NewServer(slow(h, perSecond))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		_ = closeRegistry()
	})
	return strings.TrimPrefix(server.URL, "http://")
}

// site is a folder with a key, a definition and what it names.
type site struct {
	t        *testing.T
	dir      string
	upstream string
}

const bytesPerSecond = 2 << 20

func newSite(t *testing.T) *site {
	if testing.Short() {
		t.Skip("takes its time")
	}
	s := &site{t: t, dir: t.TempDir(), upstream: startRegistry(t, bytesPerSecond)}
	definition := "apiVersion: sealift.dev/v1\nkind: Bundle\nmetadata: {name: faults, version: 1.0.0}\nspec:\n  images:\n"
	for i := range 3 {
		ref := fmt.Sprintf("%s/team/image%d:1", s.upstream, i)
		require.NoError(t, images.Push(ref, fmt.Sprint("image ", i), 1<<20, "linux/amd64", "linux/arm64"))
		definition += "    - " + ref + "\n"
	}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "bundle.yaml"), []byte(definition), 0o600))
	s.makeKey()
	return s
}

// makeKey makes a key whose signatures are not random, so that whole files
// can be compared.
func (s *site) makeKey() {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(s.t, err)
	plain := filepath.Join(s.dir, "plain.pem")
	require.NoError(s.t, os.WriteFile(plain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	pair, err := cosign.ImportKeyPair(plain, func(bool) ([]byte, error) { return []byte("x"), nil })
	require.NoError(s.t, err)
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, "cosign.key"), pair.PrivateBytes, 0o600))
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, "cosign.pub"), pair.PublicBytes, 0o600))
}

// ageKey makes the file age.key and returns its public key.
func (s *site) ageKey() string {
	id, err := age.GenerateX25519Identity()
	require.NoError(s.t, err)
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, "age.key"), []byte(id.String()+"\n"), 0o600))
	return id.Recipient().String()
}

// command prepares a run of the command line in the site's folder.
func (s *site) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.t.Context(), os.Args[0], args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), asSealift+"=1", "COSIGN_PASSWORD=x", "DOCKER_CONFIG="+s.dir)
	return cmd
}

func (s *site) create(out string) *exec.Cmd {
	return s.command("bundle", "create", "-f", "bundle.yaml", "-o", out, "--key", "cosign.key", "--plain-http", s.upstream)
}

func (s *site) must(cmd *exec.Cmd) string {
	out, err := cmd.CombinedOutput()
	require.NoError(s.t, err, string(out))
	return string(out)
}

func (s *site) read(name string) []byte {
	data, err := os.ReadFile(filepath.Join(s.dir, name))
	require.NoError(s.t, err)
	return data
}

// killAfter runs a command and kills it after a while, unless it ended before.
func killAfter(t *testing.T, cmd *exec.Cmd, d time.Duration) (ended bool) {
	require.NoError(t, cmd.Start())
	timer := time.AfterFunc(d, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	timer.Stop()
	return err == nil
}

func TestKilledCreateIsCompleted(t *testing.T) {
	s := newSite(t)
	start := time.Now()
	s.must(s.create("whole.tar"))
	took := time.Since(start)
	killed := 0
	for killed < kills {
		if killAfter(t, s.create("killed.tar"), rand.N(took)) {
			require.NoError(t, os.Remove(filepath.Join(s.dir, "killed.tar"))) // done before it could be killed: begin again
			continue
		}
		killed++
		_, err := os.Stat(filepath.Join(s.dir, "killed.tar"))
		if err == nil { // killed after the file got its name
			break
		}
	}
	s.must(s.create("killed.tar"))
	require.True(t, bytes.Equal(s.read("whole.tar"), s.read("killed.tar")), "the file is not the one of an uninterrupted run")
	left, err := filepath.Glob(filepath.Join(s.dir, "killed.tar.*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestKilledCreateOfVolumesIsCompleted is the same for volumes: what is there
// in the end is the file of an uninterrupted run, cut.
func TestKilledCreateOfVolumesIsCompleted(t *testing.T) {
	s := newSite(t)
	start := time.Now()
	s.must(s.create("whole.tar"))
	took := time.Since(start)
	create := func() *exec.Cmd {
		cmd := s.create("killed.tar")
		cmd.Args = append(cmd.Args, "--volume-size", "700kB")
		return cmd
	}
	for range kills {
		if killAfter(t, create(), rand.N(took)) {
			break
		}
	}
	s.must(create())
	names, err := filepath.Glob(filepath.Join(s.dir, "killed.tar.*"))
	require.NoError(t, err)
	require.Greater(t, len(names), 5)
	var joined []byte
	for i, name := range names {
		require.Equal(t, fmt.Sprintf("killed.tar.%03d", i+1), filepath.Base(name), "nothing but volumes is left")
		joined = append(joined, s.read(filepath.Base(name))...)
	}
	require.True(t, bytes.Equal(s.read("whole.tar"), joined), "the volumes are not the file of an uninterrupted run")
	s.must(s.command("bundle", "verify", "killed.tar", "--key", "cosign.pub"))
}

// TestKilledEncryptionBeginsAgain checks that nothing in the clear is left,
// whenever a run is killed, and that the next one makes the whole.
func TestKilledEncryptionBeginsAgain(t *testing.T) {
	s := newSite(t)
	recipient := s.ageKey()
	s.must(s.create("whole.tar"))
	plain := s.read("whole.tar")
	create := func() *exec.Cmd {
		cmd := s.create("secret.age")
		cmd.Args = append(cmd.Args, "--recipient", recipient, "--identity", "age.key")
		return cmd
	}
	for range 5 {
		if killAfter(t, create(), rand.N(2*time.Second)) {
			break
		}
		left, err := filepath.Glob(filepath.Join(s.dir, "secret.age*"))
		require.NoError(t, err)
		for _, name := range left {
			require.NotContains(t, string(s.read(filepath.Base(name))), string(plain[:200]), name)
		}
	}
	s.must(create())
	s.must(s.command("bundle", "verify", "secret.age", "--key", "cosign.pub", "--identity", "age.key"))
	s.must(s.command("bundle", "decrypt", "secret.age", "-o", "back.tar", "--identity", "age.key"))
	require.True(t, bytes.Equal(plain, s.read("back.tar")))
}

func TestKilledPushIsCompleted(t *testing.T) {
	s := newSite(t)
	s.must(s.create("b.tar"))
	dark := startRegistry(t, bytesPerSecond)
	push := func() *exec.Cmd {
		return s.command("mirror", "push", "b.tar", dark, "--key", "cosign.pub", "--plain-http", dark)
	}
	for range kills {
		if killAfter(t, push(), rand.N(1500*time.Millisecond)) {
			break
		}
	}
	s.must(push())
	for i := range 3 {
		want, err := images.Pull(fmt.Sprintf("%s/team/image%d:1", s.upstream, i))
		require.NoError(t, err)
		got, err := images.Pull(fmt.Sprintf("%s/team/image%d:1", dark, i))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.Contains(t, s.must(push()), "blobs: 0 sent")
}

func TestInterruptLeavesAResumableRun(t *testing.T) {
	s := newSite(t)
	cmd := s.create("b.tar")
	require.NoError(t, cmd.Start())
	journal := filepath.Join(s.dir, "b.tar.journal")
	require.Eventually(t, func() bool { _, err := os.Stat(journal); return err == nil }, 10*time.Second, time.Millisecond)
	time.Sleep(600 * time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	err := cmd.Wait()
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit), "the run ended before it was interrupted: %v", err)
	require.Equal(t, 130, exit.ExitCode())
	require.FileExists(t, journal)
	require.Contains(t, s.must(s.create("b.tar")), "were left by an interrupted run")
	s.must(s.command("bundle", "verify", "b.tar", "--key", "cosign.pub"))
}

func TestSecondCreateIsRefused(t *testing.T) {
	s := newSite(t)
	first := s.create("b.tar")
	require.NoError(t, first.Start())
	require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(s.dir, "b.tar.partial")); return err == nil }, 10*time.Second, time.Millisecond)
	out, err := s.create("b.tar").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "another process is making this bundle")
	require.NoError(t, first.Wait())
	s.must(s.command("bundle", "verify", "b.tar", "--key", "cosign.pub"))
}

// TestFullDiskIsRefused gives the run a disk of 1 MiB.
func TestFullDiskIsRefused(t *testing.T) {
	s := newSite(t)
	small := filepath.Join(s.dir, "small")
	require.NoError(t, os.Mkdir(small, 0o755))
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=1m"); err != nil {
		// Without the right to mount, the same check is made by archive.TestNoSpace.
		t.Logf("no small disk can be made here: %v", err)
		return
	}
	defer syscall.Unmount(small, 0)
	out, err := s.create("small/b.tar").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "not enough space on the disk")
	require.Contains(t, string(out), "needed")
	left, err := os.ReadDir(small)
	require.NoError(t, err)
	require.Empty(t, left)
}
