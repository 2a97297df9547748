package registries

import "github.com/sealift/sealift/internal/progress"

// Start implements progress.Reporter.
func (j *Job) Start(name string, total int64) progress.Phase {
	j.change(func(s *JobState) { s.Phase, s.Done, s.Total = name, 0, total })
	return phase{job: j}
}

// phase counts the bytes of a job's phase; it is also each of its tasks.
type phase struct {
	progress.None
	job *Job
}

func (p phase) Task(string, int64) progress.Task { return p }
func (p phase) Skip(n int64)                     { p.Add(n) }
func (p phase) Add(n int64)                      { p.job.change(func(s *JobState) { s.Done += n }) }
