package template

import (
	"context"
	"crypto/sha1" //nolint:gosec // what vSphere tells of an upload
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/vmware/govmomi/nfc"
	"github.com/vmware/govmomi/vim25"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
)

// attempts is how often a file is sent whose connection breaks. A host takes a
// disk from its beginning only, so that each attempt begins there.
const attempts = 3

// errNoSpace means: the host has no room for what is sent.
var errNoSpace = errors.New("no space on the datastore")

// send uploads the disks and compares what arrived. Meanwhile the vCenter hears
// that the import goes on.
func send(ctx context.Context, c *vim25.Client, lease *nfc.Lease, info *nfc.LeaseInfo, ova *OVA, opts Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go keep(ctx, lease, opts.Keepalive)
	var total int64
	for _, item := range info.Items {
		total += ova.sections[item.Path].size
	}
	phase := progress.OrNone(opts.Progress).Start("uploading the template", total)
	defer phase.Done()
	sent := map[string]string{} // SHA-1 by device, as vSphere tells it
	for _, item := range info.Items {
		sum, err := sendFile(ctx, c, item, ova, phase)
		if err != nil {
			return err
		}
		sent[item.DeviceId] = sum
	}
	return arrived(ctx, lease, info, sent)
}

// keep renews the lease until ctx is done. That it cannot is told by what
// fails next.
func keep(ctx context.Context, lease *nfc.Lease, every time.Duration) {
	if every == 0 {
		every = 5 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = lease.Progress(ctx, 50)
		}
	}
}

// sendFile sends one file, again when the connection breaks, and returns the
// SHA-1 sum of what was sent.
func sendFile(ctx context.Context, c *vim25.Client, item nfc.FileItem, ova *OVA, phase progress.Phase) (string, error) {
	s, ok := ova.sections[item.Path]
	if !ok {
		return "", invalid("the vCenter asks for %q, which is not in it", item.Path)
	}
	task := phase.Task(item.Path, s.size)
	defer task.Done()
	var failures []error
	for range attempts {
		body := &counted{task: task, sha1: sha1.New(), sha256: sha256.New()} //nolint:gosec // as above
		body.Reader = content.Until(ctx, io.NewSectionReader(ova.source, s.offset, s.size))
		status, err := post(ctx, c, item, body, s.size)
		switch {
		case err == nil && !ova.matches(item.Path, body.sha256.Sum(nil)):
			return "", invalid("%s has not the sum that the manifest has", item.Path)
		case err == nil:
			return hex.EncodeToString(body.sha1.Sum(nil)), nil
		case ctx.Err() != nil:
			return "", ctx.Err()
		case status != 0: // it was refused, and will be again
			return "", err
		}
		failures = append(failures, err)
		task.Add(-body.n)
	}
	return "", problem.WithRemedy(fmt.Errorf("sending %s failed %d times: %w", item.Path, attempts, errors.Join(failures...)),
		"see that this host reaches the ESXi hosts on port 443: disks are sent to them and not to the vCenter")
}

// post sends a file as ESXi hosts take them. The status is 0 when there was no
// answer.
func post(ctx context.Context, c *vim25.Client, item nfc.FileItem, body io.Reader, size int64) (status int, err error) {
	method, kind := http.MethodPost, "application/x-vnd.vmware-streamVmdk"
	if item.Create { // no disk, but a file such as an ISO image
		method, kind = http.MethodPut, "application/octet-stream"
	}
	req, err := http.NewRequestWithContext(ctx, method, item.URL.String(), io.NopCloser(body))
	if err != nil {
		return 0, err
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Overwrite", "t")
	err = c.Do(ctx, req, func(res *http.Response) error {
		switch status = res.StatusCode; status {
		case http.StatusOK, http.StatusCreated:
			return nil
		case http.StatusInsufficientStorage:
			return fmt.Errorf("%s: %w", item.URL.Host, errNoSpace)
		default:
			return fmt.Errorf("%s answered %s to the upload of %s", item.URL.Host, res.Status, item.Path)
		}
	})
	return status, err
}

// arrived compares the sums that vSphere tells with those of what was sent.
func arrived(ctx context.Context, lease *nfc.Lease, info *nfc.LeaseInfo, sent map[string]string) error {
	entries, err := lease.GetManifest(ctx)
	if err != nil {
		return fmt.Errorf("asking what arrived: %w", err)
	}
	keys := map[string]string{} // device of the OVA by device of the machine
	for _, d := range info.DeviceUrl {
		keys[d.Key] = d.ImportKey
	}
	for _, e := range entries {
		if want := sent[keys[e.Key]]; want != "" && e.Sha1 != "" && !strings.EqualFold(e.Sha1, want) {
			return fmt.Errorf("%s arrived with the SHA-1 sum %s and was sent with %s: %w", e.Key, e.Sha1, want, content.ErrMismatch)
		}
	}
	return nil
}

// counted counts and sums what is sent.
type counted struct {
	io.Reader
	task         progress.Task
	sha1, sha256 hash.Hash
	n            int64
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	c.task.Add(int64(n))
	c.sha1.Write(p[:n])
	c.sha256.Write(p[:n])
	return n, err
}
