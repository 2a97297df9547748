package systemconsole

import (
	"context"
	"time"

	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/settings"
)

const (
	// defaultKeep is how many backups are kept.
	defaultKeep = 14
	// backupTick is how often the schedule is looked at.
	backupTick = time.Minute
)

func (s *Server) writeBackup(ctx context.Context, b settings.Backup) error {
	keep := b.Keep
	if keep == 0 {
		keep = defaultKeep
	}
	_, err := backup.ToFolder(ctx, s.opts.Store, Kinds(), b.Folder, keep)
	return err
}

// keepBackups writes backups on their schedule until ctx is done. The newest
// file tells when the last one was, so that a restart changes nothing.
func (s *Server) keepBackups(ctx context.Context) {
	tick := time.NewTicker(backupTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.backupWhenDue(ctx); err != nil {
			s.log.ErrorContext(ctx, "writing a backup failed", "error", err)
		}
	}
}

func (s *Server) backupWhenDue(ctx context.Context) error {
	current, err := s.settings.Get(ctx)
	if err != nil || current.Backup.Hours == 0 {
		return err
	}
	files, err := backup.Files(current.Backup.Folder)
	if err != nil {
		return err
	}
	if len(files) > 0 && time.Since(files[0].When) < time.Duration(current.Backup.Hours)*time.Hour {
		return nil
	}
	return s.writeBackup(ctx, current.Backup)
}
