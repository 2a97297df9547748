package systemconsole

// WriteTime is the time that answers have by themselves.
const WriteTime = writeTime

// Pattern is a line of the table of routes, for tests that try every one.
type Pattern struct {
	Pattern string
	Public  bool
	Token   bool // for programs
	Member  bool // of the tenant in the path
	Needs   string
}

// Ended waits for what goes on until the context of New is done.
func (s *Server) Ended() { s.tending.Wait() }

// BackupDue tells whether it is time for another backup.
var BackupDue = backupDue

// ReplacePair replaces certificate and key.
func ReplacePair(certFile, keyFile string, certificate, key []byte) error {
	return replacePair(certFile, keyFile, pair{certificate, key})
}

// Patterns is the table of routes.
func (s *Server) Patterns() []Pattern {
	var out []Pattern
	for _, r := range s.routes() {
		out = append(out, Pattern{Pattern: r.pattern, Public: r.access.public, Token: r.access.token, Member: r.access.purpose.OfTenant(), Needs: string(r.access.needs)})
	}
	return out
}
