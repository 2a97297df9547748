package auth

import "time"

// The lock against those who try passwords.
const (
	lockAfter = 5 // failures in a row
	lockFor   = 15 * time.Minute
)

// Lock counts failed logins.
type Lock struct {
	Failures int       `json:"failures,omitempty"`
	Until    time.Time `json:"until,omitzero"`
}

// Locked tells whether no password is accepted now.
func (l Lock) Locked(now time.Time) bool { return now.Before(l.Until) }

// Failed returns the lock after one more failure.
func (l Lock) Failed(now time.Time) Lock {
	if l.Locked(now) {
		return l
	}
	l.Failures++
	if l.Failures >= lockAfter {
		return Lock{Until: now.Add(lockFor)}
	}
	return l
}
