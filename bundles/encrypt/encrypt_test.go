package encrypt_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/encrypt"
	"github.com/sealift/sealift/internal/problem"
)

func keys(t testing.TB) (*age.X25519Identity, []age.Recipient) {
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return id, []age.Recipient{id.Recipient()}
}

func seal(t testing.TB, data []byte, recipients []age.Recipient) []byte {
	var out bytes.Buffer
	w, err := encrypt.NewWriter(&out, recipients)
	require.NoError(t, err)
	_, err = w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// TestSizes checks what depends on the sizes of chunks, at their edges.
func TestSizes(t *testing.T) {
	id, recipients := keys(t)
	other, others := keys(t)
	hybrid, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	for _, n := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 300_000} {
		data := bytes.Repeat([]byte("abcdefg"), n/7+1)[:n]
		for _, to := range [][]age.Recipient{recipients, append(recipients, others...), {hybrid.Recipient()}} {
			sealed := seal(t, data, to)
			size, err := encrypt.SealedSize(int64(n), to)
			require.NoError(t, err)
			require.EqualValues(t, len(sealed), size)
			is, err := encrypt.Is(bytes.NewReader(sealed), size)
			require.NoError(t, err)
			require.True(t, is)

			r, err := encrypt.Open(bytes.NewReader(sealed), size, []age.Identity{other, id, hybrid})
			require.NoError(t, err)
			require.EqualValues(t, n, r.Size())
			require.Equal(t, size, r.SealedSize(int64(n)))
			got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
			require.NoError(t, err)
			require.Equal(t, data, got)

			stock, err := age.Decrypt(bytes.NewReader(sealed), id, hybrid)
			require.NoError(t, err)
			got, err = io.ReadAll(stock)
			require.NoError(t, err)
			require.Equal(t, data, got)
		}
	}
}

// TestDamage flips and cuts, and checks that Span says where it matters.
func TestDamage(t *testing.T) {
	id, recipients := keys(t)
	data := bytes.Repeat([]byte("0123456789"), 30_000)
	sealed := seal(t, data, recipients)
	size := int64(len(sealed))
	good, err := encrypt.Open(bytes.NewReader(sealed), size, []age.Identity{id})
	require.NoError(t, err)

	off, n := good.Span(70_000, 10)
	flipped := bytes.Clone(sealed)
	flipped[off+n-1] ^= 1
	r, err := encrypt.Open(bytes.NewReader(flipped), size, []age.Identity{id})
	require.NoError(t, err, "it shows when it is read")
	_, err = r.ReadAt(make([]byte, 10), 70_000)
	require.ErrorContains(t, err, "decrypt")
	_, err = r.ReadAt(make([]byte, 10), 0)
	require.NoError(t, err, "other chunks are good")

	for _, cut := range []int64{size - 1, size - 16, size - 20_000, off, 300, 190, 50, 22} {
		_, err := encrypt.Open(bytes.NewReader(sealed), cut, []age.Identity{id})
		require.ErrorIs(t, err, encrypt.ErrDamaged, "%d bytes", cut)
		require.Equal(t, problem.Verification, problem.KindOf(err))
	}
	lost := errors.New("the line is cut")
	_, err = encrypt.Open(failing{lost}, size, []age.Identity{id})
	require.ErrorIs(t, err, lost)
	require.NotErrorIs(t, err, encrypt.ErrDamaged, "nothing is known of its content")

	stranger, _ := keys(t)
	_, err = encrypt.Open(bytes.NewReader(sealed), size, []age.Identity{stranger})
	require.ErrorContains(t, err, "none of the identities decrypts it")
	require.NotErrorIs(t, err, encrypt.ErrDamaged)
}

type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func TestIs(t *testing.T) {
	for _, text := range []string{"", "age", "oci-layout", strings.Repeat("\x00", 600)} {
		is, err := encrypt.Is(strings.NewReader(text), int64(len(text)))
		require.NoError(t, err)
		require.False(t, is)
	}
	var out bytes.Buffer
	a := armor.NewWriter(&out)
	_, err := a.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, a.Close())
	_, err = encrypt.Is(bytes.NewReader(out.Bytes()), int64(out.Len()))
	require.ErrorContains(t, err, "armored")
}

func TestKeys(t *testing.T) {
	id, recipients := keys(t)
	got, err := encrypt.ParseRecipients([]string{id.Recipient().String()})
	require.NoError(t, err)
	require.Equal(t, recipients, got)
	_, err = encrypt.ParseRecipients([]string{"age1wrong", id.String(), "", "ssh-ed25519 AAAA"})
	require.ErrorContains(t, err, `"age1wrong"`)
	require.ErrorContains(t, err, "ssh-ed25519")
	require.NotContains(t, err.Error(), id.String(), "a private key is not shown")
	require.Equal(t, problem.Usage, problem.KindOf(err))

	dir := t.TempDir()
	file := func(text string) string {
		path := filepath.Join(dir, "key.txt")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	ids, err := encrypt.ReadIdentities(file("# a comment\n\n" + id.String() + "\n"))
	require.NoError(t, err)
	require.Equal(t, []age.Identity{id}, ids)
	for _, bad := range []string{"", "# nothing\n", id.Recipient().String(), id.String()[:60], "age-encryption.org/v1\n-> scrypt"} {
		_, err = encrypt.ReadIdentities(file(bad))
		require.ErrorContains(t, err, "holds no private keys")
		require.NotContains(t, err.Error(), "AGE-SECRET")
	}
	_, err = encrypt.ReadIdentities(filepath.Join(dir, "no"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// FuzzOpen feeds bytes from across the gap to the reader of age files.
func FuzzOpen(f *testing.F) {
	// One key for all processes of the fuzzer, or seeds made by one could not
	// be opened by another.
	id, err := age.ParseX25519Identity("AGE-SECRET-KEY-1WVG97PDGKT7VUVQTQPSP004FK944CSHZGM28EH48QJ6ESRS42QYQDU3H98")
	require.NoError(f, err)
	f.Add(seal(f, []byte("hello"), []age.Recipient{id.Recipient()}))
	f.Add(seal(f, nil, []age.Recipient{id.Recipient()}))
	f.Add([]byte("age-encryption.org/v1\n-> X25519 x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		src := bytes.NewReader(data)
		if is, err := encrypt.Is(src, int64(len(data))); err != nil || !is {
			return
		}
		r, err := encrypt.Open(src, int64(len(data)), []age.Identity{id})
		if err != nil {
			return
		}
		_, err = io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
		require.NoError(t, err)
		require.EqualValues(t, len(data), r.SealedSize(r.Size()))
	})
}
