package audit

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Newest returns the newest records, the newest first: those with a number
// below before, or all when it is 0. There is more when the last one's number
// is above 1.
func (l *Log) Newest(ctx context.Context, before uint64, limit int) ([]Record, error) {
	if before == 0 {
		head, err := l.Head(ctx)
		if err != nil {
			return nil, err
		}
		before = head.Number + 1
	}
	records := make([]Record, min(uint64(max(limit, 0)), before-1))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i := range records {
		group.Go(func() error {
			var err error
			records[i], err = l.once(ctx, before-1-uint64(i))
			return err
		})
	}
	return records, group.Wait()
}

// once reads a record from the store the first time that it is shown.
func (l *Log) once(ctx context.Context, number uint64) (Record, error) {
	if r, ok := l.kept.Get(number); ok {
		return r, nil
	}
	r, err := l.Get(ctx, number)
	if err == nil {
		l.kept.Add(number, r)
	}
	return r, err
}

// WriteCSV writes the whole record, the oldest first. What a spreadsheet would
// take for a formula is written as text.
func (l *Log) WriteCSV(ctx context.Context, w io.Writer) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	_ = out.Write([]string{"number", "time", "actor", "via", "source", "action", "object", "before", "after", "failure", "previous", "hash"}) // Error tells below
	for item, err := range l.records.All(ctx, "") {
		if err != nil {
			return fmt.Errorf("exporting the audit record: %w", err)
		}
		r, err := parse(item)
		if err != nil {
			return err
		}
		row := []string{strconv.FormatUint(r.Number, 10), r.Time.Format(time.RFC3339Nano), r.Actor, r.Via, r.Source, r.Action, r.Object,
			string(r.Before), string(r.After), r.Failure, r.Previous, r.Hash}
		for i := range row {
			row[i] = plain(row[i])
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// plain keeps spreadsheets from calculating a cell.
func plain(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
