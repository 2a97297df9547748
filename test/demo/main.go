// Command demo goes the whole way of a bundle on one machine, by the commands
// that a person would type: an "upstream" registry with real, signed images, a
// bundle of a chart, packs and a file that finds these images by itself, a
// damaged copy that is refused, a "dark" registry that is filled when upstream
// is gone, a delta for what changed since, and the system console, run from an
// image of the dark registry. It ends with a table of what was done, and fails as
// soon as a step does not do what it should. On a terminal the console stays
// until Ctrl-C.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"

	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/test/images"
)

func main() {
	sealift := flag.String("sealift", "bin/sealift", "the program to show")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *sealift); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to be stopped
	}
}

func run(ctx context.Context, sealift string) error {
	path, err := filepath.Abs(sealift)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sealift-demo-")
	if err != nil {
		return err
	}
	d := &demo{ctx: ctx, sealift: path, dir: dir, digests: map[string]string{}}
	defer d.close()
	for _, step := range d.steps() {
		heading(step.title)
		start := time.Now()
		what, err := step.do()
		if err != nil {
			return fmt.Errorf("%s: %w", step.title, err)
		}
		d.done = append(d.done, row{step.title, what, time.Since(start)})
	}
	d.table()
	d.linger()
	return nil
}

// heading is bold where there is a terminal.
func heading(title string) {
	if term.IsTerminal(int(os.Stdout.Fd())) {
		title = "\033[1m" + title + "\033[0m"
	}
	fmt.Printf("\n== %s\n", title)
}

// demo is one run.
type demo struct {
	ctx                     context.Context //nolint:containedctx // lives as long as the run
	sealift, dir            string
	upstream, dark, console server
	digests                 map[string]string // of the images, by name
	done                    []row
}

type row struct {
	title, what string
	took        time.Duration
}

type step struct {
	title string
	do    func() (what string, err error)
}

// The images of the demo, without their registry.
const (
	suite = "sealift/cli:demo"
	multi = "sealift/hello:demo"
)

func (d *demo) steps() []step {
	return []step{
		{"A key pair to sign with", d.key},
		{"An upstream registry, with signed images of the suite's own programs", d.fillUpstream},
		{"What a bundle shall carry: a chart, two packs, a file", d.define},
		{"The images that the chart needs are found", d.discover},
		{"Everything into one signed file", d.create},
		{"What is in it", d.inspect},
		{"A copy with one bit changed is refused", d.damage},
		{"The file itself is whole", d.verify},
		{"Across the gap: upstream is gone, the dark registry is empty", d.cross},
		{"The dark registry is filled", d.push},
		{"Once more: nothing has to be sent", d.pushAgain},
		{"Images pulled from the dark registry are the same", d.pull},
		{"Images pulled straight from the file are the same", d.serve},
		{"The chart and the file are taken out again", d.extract},
		{"Next time only what changed: a delta from the site's receipt", d.delta},
		{"The system console runs, from the image in the dark registry", d.runConsole},
	}
}

// sh runs sealift and shows the command as a person would type it.
func (d *demo) sh(args ...string) (string, error) {
	fmt.Printf("$ sealift %s\n", strings.Join(args, " "))
	cmd := exec.CommandContext(d.ctx, d.sealift, args...)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "COSIGN_PASSWORD=demo", "DOCKER_CONFIG="+d.dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	fmt.Print(out.String())
	return out.String(), err
}

func (d *demo) fillUpstream() (string, error) {
	if err := d.start(&d.upstream, "registry", "serve", "--data", "upstream"); err != nil {
		return "", err
	}
	builds, err := d.buildHello()
	if err != nil {
		return "", err
	}
	digest, err := images.PushProgram(d.upstream.host+"/"+suite, map[string]string{"linux/amd64": d.sealift})
	if err != nil {
		return "", err
	}
	d.digests[suite] = digest
	if digest, err = images.PushProgram(d.upstream.host+"/"+multi, builds); err != nil {
		return "", err
	}
	d.digests[multi] = digest
	return "2 images, one of them for two platforms", d.signImages()
}

// signImages signs the images as their makers would, with cosign.
func (d *demo) signImages() error {
	signer, err := sign.NewSigner(d.ctx, filepath.Join(d.dir, "cosign.key"), sign.Options{Passphrase: func() ([]byte, error) { return []byte("demo"), nil }})
	if err != nil {
		return err
	}
	defer signer.Close()
	for _, name := range []string{suite, multi} {
		if err := images.Sign(d.ctx, d.upstream.host+"/"+name, signer); err != nil {
			return err
		}
		fmt.Printf("%s/%s is %s, signed\n", d.upstream.host, name, d.digests[name])
	}
	return nil
}

// buildHello builds the little program for two platforms.
func (d *demo) buildHello() (map[string]string, error) {
	builds := map[string]string{}
	for _, arch := range []string{"amd64", "arm64"} {
		out := filepath.Join(d.dir, "hello-"+arch)
		cmd := exec.CommandContext(d.ctx, "go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", out, "./test/demo/hello")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building for %s: %w\n%s", arch, err, text)
		}
		builds["linux/"+arch] = out
	}
	return builds, nil
}

// define writes the definition and what it names: the suite's own chart, two
// packs of which one needs the other, and a file.
func (d *demo) define() (string, error) {
	for from, to := range map[string]string{"manifests/charts/sealift-registry": "registry-chart", "test/demo/testdata/packs/hello": "hello", "test/demo/testdata/packs/hello-base": "hello-base"} {
		if err := d.copyFolder(from, to); err != nil {
			return "", err
		}
	}
	files := map[string]string{"disk.ova": strings.Repeat("a machine image, or any other file\n", 100_000),
		"registry.values.yaml": fmt.Sprintf("image: {repository: %s/sealift/cli, tag: demo}\n", d.upstream.host),
		"bundle.yaml": fmt.Sprintf(`apiVersion: sealift.dev/v1
kind: Bundle
metadata: {name: demo, version: 1.0.0}
spec:
  charts:
    - {path: ./registry-chart, values: [registry.values.yaml]}
  packs:
    - ./hello-base
    - {path: ./hello, presets: [high-availability, spread]}
  files: [./disk.ova]
  verify:
    - {match: %s/sealift/*, key: cosign.pub}
`, d.upstream.host)}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	fmt.Printf("$ cat bundle.yaml\n%s", files["bundle.yaml"])
	return "no image is listed: they are found", nil
}

// copyFolder copies a folder of the source tree; UPSTREAM in its files becomes
// the address of the registry.
func (d *demo) copyFolder(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(d.dir, to, rel)
		return errors.Join(os.MkdirAll(filepath.Dir(target), 0o700), os.WriteFile(target, bytes.ReplaceAll(data, []byte("UPSTREAM"), []byte(d.upstream.host)), 0o600))
	})
}

func (d *demo) discover() (string, error) {
	out, err := d.sh("bundle", "discover", "registry-chart", "-f", "registry.values.yaml")
	if err == nil && !strings.Contains(out, suite) {
		err = errors.New("the image of the chart was not found")
	}
	return "1 image, certain", err
}

func (d *demo) key() (string, error) {
	_, err := d.sh("key", "generate")
	return "cosign.key, cosign.pub", err
}

func (d *demo) create() (string, error) {
	if _, err := d.sh("bundle", "create", "-f", "bundle.yaml", "-o", "demo.tar", "--key", "cosign.key", "--plain-http", d.upstream.host); err != nil {
		return "", err
	}
	info, err := os.Stat(filepath.Join(d.dir, "demo.tar"))
	if err != nil {
		return "", err
	}
	return "demo.tar, " + humanize.IBytes(uint64(info.Size())), nil
}

func (d *demo) inspect() (string, error) {
	out, err := d.sh("bundle", "inspect", "demo.tar", "--key", "cosign.pub")
	if err == nil && !strings.Contains(out, suite) {
		err = errors.New("the bundle does not list " + suite)
	}
	return "2 images, a chart, 2 packs, a file", err
}

func (d *demo) damage() (string, error) {
	data, err := os.ReadFile(filepath.Join(d.dir, "demo.tar"))
	if err != nil {
		return "", err
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(filepath.Join(d.dir, "damaged.tar"), data, 0o600); err != nil {
		return "", err
	}
	_, err = d.sh("bundle", "verify", "damaged.tar", "--key", "cosign.pub", "--quiet")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		return "", fmt.Errorf("the damaged bundle was not refused with exit code 3: %w", errors.Join(err))
	}
	fmt.Println("(exit code 3)")
	return "refused, exit code 3", os.Remove(filepath.Join(d.dir, "damaged.tar"))
}

func (d *demo) verify() (string, error) {
	_, err := d.sh("bundle", "verify", "demo.tar", "--key", "cosign.pub")
	return "signature, every byte, completeness", err
}

func (d *demo) cross() (string, error) {
	host := d.upstream.host
	d.upstream.stop()
	if _, err := images.Pull(host + "/" + suite); err == nil {
		return "", errors.New("upstream still answers")
	}
	fmt.Printf("%s answers no more\n", host)
	return "upstream stopped", d.start(&d.dark, "registry", "serve", "--data", "dark")
}

func (d *demo) push() (string, error) {
	_, err := d.sh("mirror", "push", "demo.tar", d.dark.host+"/site", "--key", "cosign.pub", "--plain-http", d.dark.host,
		"--receipt", "receipt.json", "--receipt-key", "cosign.key")
	return d.dark.host + "/site, with a receipt", err
}

func (d *demo) pushAgain() (string, error) {
	out, err := d.sh("mirror", "push", "demo.tar", d.dark.host+"/site", "--key", "cosign.pub", "--plain-http", d.dark.host)
	if err == nil && (!strings.Contains(out, "blobs: 0 sent") || !strings.Contains(out, "manifests: 0 sent")) {
		err = errors.New("something was sent twice")
	}
	return "0 B sent", err
}

func (d *demo) pull() (string, error) { return d.compare(d.dark.host + "/site") }

func (d *demo) serve() (string, error) {
	var s server
	defer s.stop()
	if err := d.start(&s, "mirror", "serve", "demo.tar", "--key", "cosign.pub"); err != nil {
		return "", err
	}
	return d.compare(s.host)
}

func (d *demo) extract() (string, error) {
	if _, err := d.sh("bundle", "extract", "demo.tar", "sealift-registry", "disk.ova", "--key", "cosign.pub", "-o", "out"); err != nil {
		return "", err
	}
	want, err := os.ReadFile(filepath.Join(d.dir, "disk.ova"))
	if err != nil {
		return "", err
	}
	got, err := os.ReadFile(filepath.Join(d.dir, "out", "disk.ova"))
	if err == nil && !bytes.Equal(want, got) {
		err = errors.New("the file is another one")
	}
	return "sealift-registry-0.1.0.tgz, disk.ova", err
}

// delta changes the file and carries that alone.
func (d *demo) delta() (string, error) {
	if err := os.WriteFile(filepath.Join(d.dir, "disk.ova"), []byte("a new machine image\n"), 0o600); err != nil {
		return "", err
	}
	if err := d.start(&d.upstream, "registry", "serve", "--data", "upstream", "--addr", d.upstream.host); err != nil {
		return "", err
	}
	if _, err := d.sh("bundle", "create", "-f", "bundle.yaml", "-o", "delta.tar", "--key", "cosign.key", "--plain-http", d.upstream.host,
		"--base", "receipt.json", "--base-key", "cosign.pub"); err != nil {
		return "", err
	}
	if _, err := d.sh("mirror", "push", "delta.tar", d.dark.host+"/site", "--key", "cosign.pub", "--plain-http", d.dark.host); err != nil {
		return "", err
	}
	info, err := os.Stat(filepath.Join(d.dir, "delta.tar"))
	if err != nil {
		return "", err
	}
	return "delta.tar, " + humanize.IBytes(uint64(info.Size())), nil
}

// compare pulls every image whole and compares its digest with upstream's.
func (d *demo) compare(base string) (string, error) {
	for _, name := range []string{suite, multi} {
		got, err := images.Pull(base + "/" + name)
		if err != nil {
			return "", err
		}
		if got != d.digests[name] {
			return "", fmt.Errorf("%s is %s, it was %s upstream", name, got, d.digests[name])
		}
		fmt.Printf("%s/%s is %s, every layer verified\n", base, name, got)
	}
	return "2 images, same digests", nil
}

func (d *demo) table() {
	heading("Done")
	tw := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, "STEP\tRESULT\tTIME")
	var total time.Duration
	for _, r := range d.done {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", r.title, r.what, r.took.Round(10*time.Millisecond))
		total += r.took
	}
	fmt.Fprintf(tw, "All of it\t\t%s\n", total.Round(10*time.Millisecond))
	_ = tw.Flush()
}

func (d *demo) close() {
	d.console.stop()
	d.upstream.stop()
	d.dark.stop()
	_ = os.RemoveAll(d.dir)
}
