package systemconsole

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/settings"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/upgrades"
)

const (
	// backupTick is how often the schedule is looked at.
	backupTick = time.Minute
	// backupRetry is when one that failed is tried again.
	backupRetry = 15 * time.Minute
	// runOldest is how old the outcome of the last backup may be on pages.
	runOldest = 10 * time.Second
)

// The names of the places of backups, in addresses.
const (
	inFolder = "folder"
	inBucket = "s3"
)

// errNoPlace means: nobody has said where backups go.
func errNoPlace() error {
	return problem.New(problem.Usage, "name a folder or a bucket in Administration, Backup", "there is no place for backups")
}

// run returns the outcome of the last backup, of a moment ago. A store that
// does not answer gives the last known.
func (s *Server) run(ctx context.Context) backup.Run {
	run, _ := s.lastRun.Get(ctx) // as said above
	return run
}

// place is where backups are kept.
func (s *Server) place(ctx context.Context, b settings.Backup, name string) (backup.Place, error) {
	switch {
	case name == inFolder && b.Folder != "":
		return backup.Folder(b.Folder), nil
	case name == inBucket && b.S3.Bucket != "":
		secret, err := s.settings.SecretKey(ctx, b.S3)
		if err != nil {
			return nil, err
		}
		config, err := settings.TLS(b.S3.CA)
		if err != nil {
			return nil, err
		}
		return backup.NewBucket(backup.BucketOptions{Endpoint: b.S3.Endpoint, Region: b.S3.Region, Bucket: b.S3.Bucket, Prefix: b.S3.Prefix,
			AccessKey: b.S3.AccessKey, SecretKey: secret, TLS: config, Proxy: s.settings.Proxy})
	default:
		return nil, errUnknown
	}
}

// places are all places where backups are kept, by their names.
func (s *Server) places(ctx context.Context, b settings.Backup) (names []string, places []backup.Place, err error) {
	for _, name := range []string{inFolder, inBucket} {
		p, err := s.place(ctx, b, name)
		if errors.Is(err, errUnknown) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		names, places = append(names, name), append(places, p)
	}
	return names, places, nil
}

func (s *Server) backupSource() backup.Source {
	return backup.Source{Store: s.opts.Store, Kinds: slices.DeleteFunc(Kinds(), ofTheMoment), Keeper: s.opts.Keeper}
}

// ofTheMoment tells of kinds that say what the console works at: they are in no
// backup, and none brings them back. An upgrade that came back would begin anew.
func ofTheMoment(k store.Kind) bool { return k.Name == upgrades.Kind || k.Name == backup.RunKind }

// kept runs what writes a backup, and keeps what came of it.
type kept func(write func() (backup.File, error)) (backup.File, error)

// when keeps what came of a backup that is written when may still allows it.
func (s *Server) when(ctx context.Context, may func(backup.Run) bool) kept {
	return func(write func() (backup.File, error)) (backup.File, error) { return s.runs.Do(ctx, s.now, may, write) }
}

// writeBackup writes one everywhere.
func (s *Server) writeBackup(ctx context.Context, b settings.Backup, keep kept) (backup.File, error) {
	_, places, err := s.places(ctx, b)
	if err != nil {
		return backup.File{}, err
	}
	defer s.lastRun.Forget()
	return keep(func() (backup.File, error) { return backup.To(ctx, s.backupSource(), places, b.Kept()) })
}

// backupNow writes one because somebody asks for it. Half of one would be a
// failure that everybody is told of: it goes on when they have gone.
func (s *Server) backupNow(ctx context.Context, b settings.Backup) (backup.File, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longTime)
	defer cancel()
	return s.askedBackup(ctx, b, s.when(ctx, func(backup.Run) bool { return true }))
}

// askedBackup writes one because somebody asks for it. Why it could not be
// written is form.Problems: those who asked can do something about it.
func (s *Server) askedBackup(ctx context.Context, b settings.Backup, keep kept) (file backup.File, err error) {
	err = s.audit.Do(ctx, audit.Event{Action: "backup.write", Object: "Backup"}, func() error {
		file, err = s.writeBackup(ctx, b, keep)
		return err
	})
	return file, backupProblems(err)
}

// backupProblems tells why something about a backup failed, with what helps.
func backupProblems(err error) error {
	if err == nil {
		return nil
	}
	var p form.Problems
	p.Add("", "%s", err)
	for _, remedy := range problem.Remedies(err) {
		p.Add("", "%s", remedy)
	}
	return p
}

// setBackup keeps where backups go after one was written there, which proves
// that they can.
func (s *Server) setBackup(ctx context.Context, b settings.Backup) error {
	b, err := s.settings.PrepareBackup(ctx, b)
	if err != nil {
		return err
	}
	if b.On() {
		try := func(write func() (backup.File, error)) (backup.File, error) { return s.runs.Try(ctx, s.now, write) }
		if _, err := s.askedBackup(ctx, b, try); err != nil {
			return err
		}
	}
	return s.settings.SetBackup(ctx, b)
}

// keepBackups writes backups on their schedule until ctx is done.
func (s *Server) keepBackups(ctx context.Context) {
	tick := time.NewTicker(backupTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.backupWhenDue(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "writing a backup failed", "error", err)
		}
	}
}

func (s *Server) backupWhenDue(ctx context.Context) error {
	current, err := s.settings.Get(ctx)
	if err != nil || current.Backup.Hours == 0 || !current.Backup.On() {
		return err
	}
	due := func(run backup.Run) bool { return backupDue(run, current.Backup.Hours, s.now()) }
	run, err := s.runs.Last(ctx, s.now())
	if err != nil || !due(run) {
		return err
	}
	_, err = s.writeBackup(ctx, current.Backup, s.when(ctx, due))
	if errors.Is(err, backup.ErrBusy) {
		return nil // another server writes it
	}
	return err
}

// backupDue tells whether it is time for another backup. What came of the last
// one stands in the store, so that a restart changes nothing.
func backupDue(last backup.Run, hours int, now time.Time) bool {
	wait := time.Duration(hours) * time.Hour
	if last.Failure != "" {
		wait = min(wait, backupRetry)
	}
	return !last.Busy(now) && now.Sub(last.Started) >= wait
}

// notRestored are the kinds that a restore in place leaves as they are: the
// record of changes is never shortened, and the pulse only grows. Backups of
// older consoles have what is of the moment.
func notRestored() []string {
	return []string{audit.Kind, store.PulseKind, upgrades.Kind, backup.RunKind}
}

// restore makes everything what it was when a backup was written, but for the
// record of changes and where backups are. All logins end. Before that, one more
// backup is written. An upgrade is waited for: it replaces the console.
func (s *Server) restore(ctx context.Context, placeName, name string) (objects int, err error) {
	ctx = context.WithoutCancel(ctx) // half of a restore is nothing
	if err := s.upgrades.Idle(ctx); err != nil {
		return 0, err
	}
	current, err := s.settings.Get(ctx)
	if err != nil {
		return 0, err
	}
	place, err := s.place(ctx, current.Backup, placeName)
	if err != nil {
		return 0, err
	}
	file, err := fetched(ctx, place, name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = errors.Join(file.Close(), os.Remove(file.Name())) }() // what is left is encrypted
	if _, err := backup.Check(ctx, s.opts.Keeper, file); err != nil {
		return 0, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return 0, fmt.Errorf("reading the backup again: %w", err)
	}
	const all = 1 << 20 // nothing is removed to make room for it
	if _, err := backup.To(ctx, s.backupSource(), []backup.Place{place}, all); err != nil {
		return 0, fmt.Errorf("keeping what is there before it is replaced: %w", err)
	}
	err = s.audit.Do(ctx, audit.Event{Action: "backup.restore", Object: "Backup/" + name}, func() error {
		objects, err = backup.Replace(ctx, file, s.restoreTarget())
		return errors.Join(err, s.auth.Replaced(ctx)) // even when half of it is there
	})
	s.settings.Forget()
	if err == nil {
		err = s.settings.SetBackup(ctx, current.Backup) // which works: the backup came from there
	}
	s.setLevel(ctx)
	return objects, errors.Join(err, s.auth.Bootstrap(ctx))
}

func (s *Server) restoreTarget() backup.Target {
	t := backup.Target{Store: s.opts.Store, Keeper: s.opts.Keeper, Known: []string{auth.TokenKind}, Dropped: []string{auth.LinkKind}}
	apart := append(notRestored(), auth.TokenKind, auth.SessionKind, auth.LinkKind)
	for _, k := range Kinds() {
		if !slices.Contains(apart, k.Name) {
			t.Kinds = append(t.Kinds, k.Name)
		}
	}
	return t
}

// fetched brings a backup onto this host.
func fetched(ctx context.Context, place backup.Place, name string) (*os.File, error) {
	in, err := place.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	out, err := os.CreateTemp("", "sealift-restore-*")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("fetching a backup: %w", err), in.Close())
	}
	_, err = io.Copy(out, in)
	if err == nil {
		_, err = out.Seek(0, io.SeekStart)
	}
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("fetching a backup: %w", err), out.Close(), os.Remove(out.Name()))
	}
	return out, nil
}
