package archive

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
)

// The journal is a file of JSON lines beside the file under way: a header that
// names what is being made, then records that are only ever appended. A record
// is written after the bytes that it speaks of are durable. A torn last line
// (the machine stopped while it was written) is cut off when the journal is
// opened.

// journalHeader is the first line. A journal with another header belongs to
// another bundle.
type journalHeader struct {
	Statement digest.Digest `json:"statement"`
	Start     int64         `json:"start"`
	Volume    int64         `json:"volume,omitempty"` // size of a volume; 0 for one file
}

// record is any later line: a blob that is complete, or one under way.
type record struct {
	Done   digest.Digest `json:"done,omitempty"`
	Under  digest.Digest `json:"under,omitempty"`
	Offset int64         `json:"offset,omitempty"` // bytes of Under that are durable
	State  []byte        `json:"state,omitempty"`  // SHA-256 state after Offset bytes
}

type journal struct {
	f *os.File
}

// state is what a journal says of an interrupted run.
type state struct {
	done  map[digest.Digest]bool
	under map[digest.Digest]record
}

func newState() state {
	return state{done: map[digest.Digest]bool{}, under: map[digest.Digest]record{}}
}

// load reads the journal. ok is false when it is not about want, or empty.
func (j *journal) load(want journalHeader) (s state, ok bool, err error) {
	s = newState()
	if _, err := j.f.Seek(0, io.SeekStart); err != nil {
		return s, false, err
	}
	in := bufio.NewReader(j.f)
	line, err := in.ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return s, false, err
	}
	var got journalHeader
	if json.Unmarshal(line, &got) != nil || got != want {
		return s, false, nil
	}
	good := int64(len(line))
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) { // what is left has no end: a torn line, or nothing
			break
		}
		if err != nil {
			return s, false, err
		}
		var r record
		if json.Unmarshal(line, &r) != nil {
			break
		}
		s.add(r)
		good += int64(len(line))
	}
	if err := j.f.Truncate(good); err != nil {
		return s, false, err
	}
	_, err = j.f.Seek(good, io.SeekStart)
	return s, true, err
}

func (s state) add(r record) {
	if r.Done != "" {
		s.done[r.Done] = true
		delete(s.under, r.Done)
	} else if r.Under != "" {
		s.under[r.Under] = r
	}
}

// reset empties the journal and writes a header.
func (j *journal) reset(h journalHeader) error {
	if err := j.f.Truncate(0); err != nil {
		return err
	}
	if _, err := j.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return j.write(h)
}

// clear makes the journal say nothing, durably: it comes before the bytes that
// it speaks of are given up.
func (j *journal) clear() error { return errors.Join(j.f.Truncate(0), j.f.Sync()) }

// append adds records and makes them durable.
func (j *journal) append(records []record) error {
	lines := make([]any, len(records))
	for i := range records {
		lines[i] = records[i]
	}
	return j.write(lines...)
}

func (j *journal) write(lines ...any) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	for _, l := range lines {
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	if _, err := j.f.Write(buf.Bytes()); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return j.f.Sync()
}
