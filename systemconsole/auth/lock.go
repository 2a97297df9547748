package auth

import "time"

// Lock counts failed logins, against those who try passwords.
type Lock struct {
	Failures int       `json:"failures,omitempty"`
	Until    time.Time `json:"until,omitzero"`
}

// Locked tells whether no password is accepted now.
func (l Lock) Locked(now time.Time) bool { return now.Before(l.Until) }

// Failed returns the lock after one more failure, by a policy that is in effect.
func (l Lock) Failed(now time.Time, p Policy) Lock {
	if l.Locked(now) {
		return l
	}
	l.Failures++
	if l.Failures >= p.LockTries {
		return Lock{Until: now.Add(time.Duration(p.LockMinutes) * time.Minute)}
	}
	return l
}
