package template_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/vim25"

	"github.com/sealift/sealift/installer/template"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/lab/vcenter/vcentertest"
)

//go:embed testdata/node.ovf
var descriptor string

// entry is a file of an OVA.
type entry struct {
	name string
	data []byte
}

// entries are those of a whole OVA with a disk of these bytes.
func entries(disk []byte) []entry {
	text := fmt.Appendf(nil, descriptor, len(disk))
	manifest := fmt.Sprintf("SHA256(node.ovf)= %s\nSHA256(disk.vmdk)= %s\n", sum(text), sum(disk))
	return []entry{{"node.ovf", text}, {"node.mf", []byte(manifest)}, {"disk.vmdk", disk}}
}

func pack(t testing.TB, files ...entry) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o600, Size: int64(len(f.data))}))
		_, err := w.Write(f.data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return buf.Bytes()
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

func disk() []byte { return bytes.Repeat([]byte("KDMV, a stream "), 100_000) }

// whole reads an OVA of these bytes and returns it with its digest.
func whole(t testing.TB, data []byte) (*template.OVA, digest.Digest) {
	o, err := template.Read(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	return o, digest.FromBytes(data)
}

func place() template.Place {
	return template.Place{Name: "node-1.34", Datacenter: "/north", Folder: "/north/vm/templates", Pool: "/north/host/cluster-a/Resources/sealift",
		Datastore: "/north/datastore/vmfs-ssd", Network: "/north/network/nodes"}
}

// start starts a vCenter and logs in as the user with the documented privileges.
func start(t *testing.T) (*vcenter.VCenter, *vim25.Client) {
	v := vcentertest.Start(t, vcenter.Options{Runtime: vcentertest.NewRecorder()})
	c, err := v.Client(t.Context(), vcenter.Installer())
	require.NoError(t, err)
	return v, c.Client
}

// machines returns the names in the folder of templates.
func machines(t *testing.T, c *vim25.Client) []string {
	var names []string
	found, err := find.NewFinder(c).VirtualMachineList(t.Context(), "/north/vm/templates/*")
	var none *find.NotFoundError
	if errors.As(err, &none) {
		return nil
	}
	require.NoError(t, err)
	for _, vm := range found {
		names = append(names, vm.Name())
	}
	return names
}

func TestImport(t *testing.T) {
	_, c := start(t)
	state, err := template.Look(t.Context(), c, place())
	require.NoError(t, err)
	require.Equal(t, template.State{}, state)

	data := pack(t, entries(disk())...)
	ova, d := whole(t, data)
	require.NoError(t, template.Import(t.Context(), c, place(), ova, d, template.Options{}))
	state, err = template.Look(t.Context(), c, place())
	require.NoError(t, err)
	require.Equal(t, template.State{Exists: true, Ready: true, Digest: d}, state)

	datastore, err := find.NewFinder(c).Datastore(t.Context(), "/north/datastore/vmfs-ssd")
	require.NoError(t, err)
	body, _, err := datastore.Download(t.Context(), "node-1.34.importing/disk-0-flat.vmdk", nil)
	require.NoError(t, err)
	defer body.Close()
	got, err := io.ReadAll(body)
	require.NoError(t, err)
	require.Equal(t, disk(), got, "the disk arrived whole")

	require.NoError(t, template.Import(t.Context(), c, place(), ova, d, template.Options{}), "a second import has nothing to do")
	require.Equal(t, []string{"node-1.34"}, machines(t, c))

	other, otherDigest := whole(t, pack(t, entries([]byte("KDMV of a newer node"))...))
	err = template.Import(t.Context(), c, place(), other, otherDigest, template.Options{})
	require.ErrorIs(t, err, template.ErrOther)
	require.ErrorContains(t, err, d.String(), "it says of what the template was made")
	require.NotEmpty(t, problem.Remedies(err))
}

func TestImportLeavesWhatIsNotItsOwn(t *testing.T) {
	for _, name := range []string{"node-1.34", "node-1.34.importing"} {
		t.Run(name, func(t *testing.T) {
			_, c := start(t)
			ova, d := whole(t, pack(t, entries(disk())...))
			p := place()
			p.Name = name
			require.NoError(t, template.Import(t.Context(), c, p, ova, "", template.Options{}), "as somebody else would have made it")
			err := template.Import(t.Context(), c, place(), ova, d, template.Options{})
			require.ErrorIs(t, err, template.ErrOther)
			require.Equal(t, []string{name}, machines(t, c))
		})
	}
}

// cut breaks connections that carry more than so many bytes, as often as it is
// told.
type cut struct {
	net.Conn
	left   int64
	broken bool
	times  *atomic.Int64
}

func (c *cut) Write(p []byte) (int, error) {
	c.left -= int64(len(p))
	if c.left < 0 && !c.broken {
		c.broken = c.times.Add(-1) >= 0
	}
	if c.broken {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

func cutting(c *vim25.Client, times int64) {
	var left atomic.Int64
	left.Store(times)
	tr := c.DefaultTransport()
	tr.CloseIdleConnections()
	d := tls.Dialer{Config: tr.TLSClientConfig}
	tr.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, address)
		return &cut{Conn: conn, left: 200_000, times: &left}, err
	}
}

func TestABrokenUploadIsSentAgain(t *testing.T) {
	_, c := start(t)
	cutting(c, 2)
	ova, d := whole(t, pack(t, entries(disk())...))
	require.NoError(t, template.Import(t.Context(), c, place(), ova, d, template.Options{}))
	require.Equal(t, []string{"node-1.34"}, machines(t, c))
}

func TestAnUploadThatAlwaysBreaksLeavesNothing(t *testing.T) {
	_, c := start(t)
	cutting(c, 3)
	ova, d := whole(t, pack(t, entries(disk())...))
	err := template.Import(t.Context(), c, place(), ova, d, template.Options{})
	require.ErrorContains(t, err, "sending disk.vmdk failed 3 times")
	require.Contains(t, problem.Remedies(err)[0], "ESXi hosts")
	require.Empty(t, machines(t, c))
}

func TestAFullDatastore(t *testing.T) {
	v, c := start(t)
	require.NoError(t, v.FillDatastore(t.Context(), "vmfs-ssd", 1<<20))
	ova, d := whole(t, pack(t, entries(disk())...))
	err := template.Import(t.Context(), c, place(), ova, d, template.Options{})
	require.ErrorContains(t, err, "no space on the datastore")
	require.Contains(t, problem.Remedies(err)[0], "make room")
	require.Empty(t, machines(t, c))
}

func TestAnImportThatWasKilledIsMadeAnew(t *testing.T) {
	_, c := start(t)
	data := pack(t, entries(disk())...)
	ova, d := whole(t, data)
	p := place()
	p.Name += ".importing" // what a killed run leaves has its mark
	require.NoError(t, template.Import(t.Context(), c, p, ova, d, template.Options{}))
	require.NoError(t, template.Import(t.Context(), c, place(), ova, d, template.Options{}))
	require.Equal(t, []string{"node-1.34"}, machines(t, c))
}

func TestACanceledImportLeavesNothing(t *testing.T) {
	_, c := start(t)
	data := pack(t, entries(disk())...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	source := stopping{bytes.NewReader(data), int64(len(data)) / 2, cancel}
	ova, err := template.Read(source, int64(len(data)))
	require.NoError(t, err)
	err = template.Import(ctx, c, place(), ova, digest.FromBytes(data), template.Options{})
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, machines(t, c))
}

// stopping cancels when it is read beyond a place.
type stopping struct {
	*bytes.Reader
	at     int64
	cancel func()
}

func (s stopping) ReadAt(p []byte, offset int64) (int, error) {
	if offset > s.at {
		s.cancel()
	}
	return s.Reader.ReadAt(p, offset)
}

func TestADamagedDisk(t *testing.T) {
	_, c := start(t)
	files := entries(disk())
	files[2].data[12345] ^= 1
	ova, d := whole(t, pack(t, files...))
	err := template.Import(t.Context(), c, place(), ova, d, template.Options{})
	require.ErrorIs(t, err, template.ErrInvalid)
	require.Equal(t, problem.Verification, problem.KindOf(err))
	require.Empty(t, machines(t, c))
}

func TestRead(t *testing.T) {
	files := entries([]byte("KDMV"))
	text, manifest, vmdk := files[0], files[1], files[2]
	whole := pack(t, files...)
	long := entry{"node.ovf", bytes.Repeat([]byte(" "), 5<<20)}
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"no tar":               {[]byte("PK, says a zip archive"), "cannot be read"},
		"empty":                {nil, "cannot be read"},
		"cut short":            {whole[:len(whole)-1024-510], "ends within"},
		"no manifest":          {pack(t, text, vmdk), "0 entries *.mf"},
		"no descriptor":        {pack(t, manifest, vmdk), "0 entries *.ovf"},
		"two descriptors":      {pack(t, text, manifest, vmdk, entry{"b.ovf", text.data}), "no SHA-256 sum of b.ovf"},
		"a disk without sum":   {pack(t, text, manifest, vmdk, entry{"more.vmdk", nil}), "no SHA-256 sum of more.vmdk"},
		"a disk is missing":    {pack(t, text, manifest), "names \"disk.vmdk\""},
		"another descriptor":   {pack(t, entry{text.name, append(text.data, '\n')}, manifest, vmdk), "not the sum"},
		"an entry twice":       {pack(t, text, manifest, vmdk, vmdk), "twice"},
		"an entry elsewhere":   {pack(t, text, manifest, vmdk, entry{"../x.vmdk", nil}), "no plain file"},
		"a long descriptor":    {pack(t, long, manifest, vmdk), "more than"},
		"SHA-1 sums":           {pack(t, text, entry{"node.mf", []byte("SHA1(node.ovf)= aa\nSHA1(disk.vmdk)= bb\n")}, vmdk), "no SHA-256 sum"},
		"no machine described": {pack(t, entry{"node.ovf", []byte("<Envelope/>")}, entry{"node.mf", []byte("SHA256(node.ovf)= " + sum([]byte("<Envelope/>")) + "\n")}), "describes no machine"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := template.Read(bytes.NewReader(c.data), int64(len(c.data)))
			require.ErrorIs(t, err, template.ErrInvalid)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add(pack(f, entries([]byte("KDMV"))...))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = template.Read(bytes.NewReader(data), int64(len(data)))
	})
}
