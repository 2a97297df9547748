// Package problem says what went wrong and how to mend it.
//
// An error that a person will read carries two things besides its text: a
// remedy, set where the remedy is known, and a kind, which the command line
// turns into an exit code. Both travel along the error chain, so that callers
// wrap as usual and the edge of the program prints them once.
package problem

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"syscall"
)

// Kind tells what sort of failure an error is. The zero value is Failed.
type Kind int

// The kinds, in the order of the exit codes that the command line gives them.
const (
	Failed       Kind = iota // something went wrong
	Usage                    // the request itself makes no sense
	Verification             // content or signature is not what it should be
	Preflight                // the surroundings do not fit
	Partial                  // part of the work is done and can be resumed
)

// Error is an error with a remedy and a kind.
type Error struct {
	Err    error
	Remedy string // what the reader can do, as an imperative sentence; may be empty
	Kind   Kind
}

// Error returns the text without the remedy.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the error below.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a kind with a remedy. The format takes %w.
func New(kind Kind, remedy, format string, args ...any) error {
	return &Error{Err: fmt.Errorf(format, args...), Remedy: remedy, Kind: kind}
}

// WithRemedy adds a remedy to err and keeps its kind. It returns nil for nil.
func WithRemedy(err error, remedy string) error {
	if err == nil {
		return nil
	}
	return &Error{Err: err, Remedy: remedy, Kind: KindOf(err)}
}

// As gives err a kind and keeps its remedy. It returns nil for nil.
func As(kind Kind, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Err: err, Kind: kind}
}

// KindOf returns the outermost kind in the chain of err that is not Failed.
func KindOf(err error) Kind {
	for err != nil {
		var p *Error
		if !errors.As(err, &p) {
			return Failed
		}
		if p.Kind != Failed {
			return p.Kind
		}
		err = p.Err
	}
	return Failed
}

// Remedies returns every remedy in the chain of err, the innermost last, each
// once. Errors joined with errors.Join are all searched. Where nobody gave one
// and a file or the network is the reason, it says what the words of the system
// mean for that.
func Remedies(err error) []string {
	seen := map[string]bool{}
	var out []string
	for _, e := range chain(err) {
		if p, ok := e.(*Error); ok && p.Remedy != "" && !seen[p.Remedy] { //nolint:errorlint // each link of the chain is looked at in turn
			seen[p.Remedy] = true
			out = append(out, p.Remedy)
		}
	}
	if remedy := cmp.Or(ofFile(err), ofNetwork(err)); len(out) == 0 && remedy != "" {
		out = append(out, remedy)
	}
	return out
}

// chain is err and all that it wraps, also what is joined, the innermost last.
func chain(err error) []error {
	if err == nil {
		return nil
	}
	out := []error{err}
	switch u := err.(type) { //nolint:errorlint // one link of the chain
	case interface{ Unwrap() error }:
		out = append(out, chain(u.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, e := range u.Unwrap() {
			out = append(out, chain(e)...)
		}
	}
	return out
}

// ownDeadline tells whether time that this program had set was over. errors.Is
// cannot tell: net/http has timeouts that say they are the same.
func ownDeadline(err error) bool { return slices.Contains(chain(err), context.DeadlineExceeded) }

// ofNetwork returns the remedy for a server that was not reached.
func ofNetwork(err error) string {
	var (
		invalid   x509.CertificateInvalidError
		wrongName x509.HostnameError
		unknown   x509.UnknownAuthorityError
		dns       *net.DNSError
		network   net.Error
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "compare this machine's clock with the dates of the certificate; renew the certificate if the clock is right"
	case errors.As(err, &wrongName):
		return "use a name of the server that its certificate has"
	case errors.As(err, &unknown):
		return "give the certificate of the server's authority"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "check host and port, and that the server runs"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "check the address, and this machine's way to it"
	case errors.As(err, &dns):
		return "check the name, and this machine's name server"
	case errors.As(err, &network) && network.Timeout() && !ownDeadline(err):
		return "check host and port, and that no firewall or proxy swallows what is sent there"
	default:
		return ""
	}
}

// ofFile returns the remedy for what the system said of a file.
func ofFile(err error) string {
	path := ""
	var of *fs.PathError
	var between *os.LinkError
	switch {
	case errors.As(err, &of):
		path = of.Path
	case errors.As(err, &between):
		path = between.New
	default:
		return ""
	}
	switch {
	case path == "":
		return "give a name: it is empty"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "make room on the file system of " + path + ", or name another place"
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return "let this user read and write " + path + ", or name another place"
	case errors.Is(err, syscall.ENOTDIR):
		return "name another place: what should be a folder in " + path + " is a file"
	case errors.Is(err, syscall.EISDIR):
		return "name a file: " + path + " is a folder"
	case errors.Is(err, fs.ErrNotExist):
		return "look whether " + path + " is there and spelled right, with the folder that it is in"
	default:
		return ""
	}
}
