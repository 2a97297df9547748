package problem_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/problem"
)

func TestKindsAndRemediesTravel(t *testing.T) {
	base := errors.New("base")
	err := problem.New(problem.Verification, "inner remedy", "reading: %w", base)
	err = fmt.Errorf("outer: %w", problem.WithRemedy(errors.Join(err, errors.New("other")), "outer remedy"))
	err = problem.WithRemedy(err, "inner remedy") // told once
	require.ErrorIs(t, err, base)
	require.Equal(t, problem.Verification, problem.KindOf(err))
	require.Equal(t, []string{"inner remedy", "outer remedy"}, problem.Remedies(err))
	require.Equal(t, problem.Failed, problem.KindOf(base))
	require.NoError(t, problem.WithRemedy(nil, "x"))
	require.NoError(t, problem.As(problem.Usage, nil))
	require.Empty(t, problem.Remedies(nil))
}

func TestFilesHaveRemedies(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	said := func(err error) []string {
		require.Error(t, err)
		return problem.Remedies(fmt.Errorf("doing something: %w", err))
	}
	_, err := os.ReadFile(file + "/below")
	require.Equal(t, []string{"name another place: what should be a folder in " + file + "/below is a file"}, said(err))
	_, err = os.Create(filepath.Dir(file))
	require.Equal(t, []string{"name a file: " + filepath.Dir(file) + " is a folder"}, said(err))
	_, err = os.Open(file + "s")
	require.Equal(t, []string{"look whether " + file + "s is there and spelled right, with the folder that it is in"}, said(err))
	require.Equal(t, []string{"ask somebody"}, said(problem.WithRemedy(err, "ask somebody")), "who knows more is heard")
	for errno, want := range map[syscall.Errno]string{syscall.ENOSPC: "make room", syscall.EROFS: "let this user", syscall.EACCES: "let this user", syscall.EDQUOT: "make room"} {
		require.Contains(t, said(&fs.PathError{Op: "write", Path: "x", Err: errno})[0], want)
		require.Contains(t, said(&os.LinkError{Op: "rename", Old: "w", New: "x", Err: errno})[0], " x, or name another place")
	}
	require.Empty(t, said(&fs.PathError{Op: "write", Path: "x", Err: syscall.EIO}))
	require.Empty(t, said(errors.New("something else")))
	_, err = os.Stat("")
	require.Equal(t, []string{"give a name: it is empty"}, said(err))
}

func TestNetworksHaveRemedies(t *testing.T) {
	for want, err := range map[string]error{
		"compare this machine's clock": x509.CertificateInvalidError{Reason: x509.Expired},
		"use a name of the server":     x509.HostnameError{Certificate: &x509.Certificate{}},
		"the server's authority":       x509.UnknownAuthorityError{},
		"that the server runs":         &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED},
		"this machine's way to it":     &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH},
		"this machine's name server":   &net.DNSError{IsNotFound: true},
		"no firewall or proxy":         &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded},
	} {
		require.Contains(t, strings.Join(problem.Remedies(fmt.Errorf("asking: %w", err)), ""), want)
	}
	require.Empty(t, problem.Remedies(&url.Error{Err: context.DeadlineExceeded}), "who set it knows why")
	// As whatever waits for a cluster says what it saw last.
	waited := fmt.Errorf("after 30m: %w", errors.Join(context.DeadlineExceeded, errors.New("no machine yet")))
	require.Empty(t, problem.Remedies(waited), "the network has no part in it")
	require.Equal(t, []string{"--registry-ca FILE"}, problem.Remedies(problem.WithRemedy(x509.UnknownAuthorityError{}, "--registry-ca FILE")))
}
