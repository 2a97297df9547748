package auth

import (
	"context"
	"fmt"
	"time"

	"github.com/sealift/sealift/systemconsole/form"
)

// Policy is what passwords and sessions have to keep to. The zero value of each
// field is the default; Effective puts it in.
//
// No policy keeps everybody out: a lock passes, a password that expired is
// changed at the next login, and of too many sessions the oldest ends.
type Policy struct {
	Length      int `json:"length,omitempty"`      // characters that a password has at least: 8 to 64; 0 means 14
	Classes     int `json:"classes,omitempty"`     // of lower case, upper case, digits and others: 1 to 4; 0 means 4
	History     int `json:"history,omitempty"`     // passwords before that must not come again: 1 to 24; 0 means 5
	ExpiryDays  int `json:"expiryDays,omitempty"`  // until a password has to be changed: 1 to 730; 0 means never
	LockTries   int `json:"lockTries,omitempty"`   // failures in a row that lock: 3 to 20; 0 means 5
	LockMinutes int `json:"lockMinutes,omitempty"` // that a lock lasts: 1 to 1440; 0 means 15

	SessionMinutes int `json:"sessionMinutes,omitempty"` // that a session lasts at most: 15 to 1440; 0 means 240
	IdleMinutes    int `json:"idleMinutes,omitempty"`    // without a request after which one ends: 5 to 1440; 0 means that none does
	Sessions       int `json:"sessions,omitempty"`       // of one account at a time: 1 to 100; 0 means any number
}

// bound is what one number of a policy may be.
type bound struct {
	field        string
	value        *int
	low, high    int
	otherwise    int // what 0 means
	zero, advice string
}

// bounds lists every number of a policy, by the names of its JSON.
func (p *Policy) bounds() []bound {
	return []bound{
		{"length", &p.Length, 8, 64, 14, "", "characters"},
		{"classes", &p.Classes, 1, 4, 4, "", "classes of characters"},
		{"history", &p.History, 1, 24, 5, "", "passwords"},
		{"expiryDays", &p.ExpiryDays, 1, 730, 0, "0 (never), or ", "days"},
		{"lockTries", &p.LockTries, 3, 20, 5, "", "failures"},
		{"lockMinutes", &p.LockMinutes, 1, 1440, 15, "", "minutes"},
		{"sessionMinutes", &p.SessionMinutes, 15, 1440, 240, "", "minutes"},
		{"idleMinutes", &p.IdleMinutes, 5, 1440, 0, "0 (no limit), or ", "minutes"},
		{"sessions", &p.Sessions, 1, 100, 0, "0 (any number), or ", "sessions"},
	}
}

// Effective returns the policy with its defaults. A number that cannot be, such
// as one of a damaged object, is taken for the bound that is nearest.
func (p Policy) Effective() Policy {
	for _, b := range p.bounds() {
		if *b.value == 0 {
			*b.value = b.otherwise
			continue
		}
		*b.value = min(max(*b.value, b.low), b.high)
	}
	return p
}

// Check returns what is wrong with a policy, by the names of its JSON.
func (p Policy) Check() error {
	var problems form.Problems
	for _, b := range p.bounds() {
		if *b.value != 0 && (*b.value < b.low || *b.value > b.high) {
			problems.Add(b.field, "choose %s%d to %d %s", b.zero, b.low, b.high, b.advice)
		}
	}
	if e := p.Effective(); e.IdleMinutes > e.SessionMinutes {
		problems.Add("idleMinutes", "choose no more than the %d minutes that a session lasts", e.SessionMinutes)
	}
	return problems.Err()
}

// Rules says in one line what a password has to be.
func (p Policy) Rules() string {
	p = p.Effective()
	classes := "of all four classes (lower case, upper case, digits, others)"
	if p.Classes < 4 {
		classes = fmt.Sprintf("of %d or more of the classes lower case, upper case, digits, others", p.Classes)
	}
	last := fmt.Sprintf("none of the last %d", p.History)
	if p.History == 1 {
		last = "not the one before"
	}
	return fmt.Sprintf("%d characters or more, %s; %s.", p.Length, classes, last)
}

// expired tells whether a password that was set at a time has to be changed.
func (p Policy) expired(set, now time.Time) bool {
	return p.ExpiryDays > 0 && !now.Before(set.AddDate(0, 0, p.ExpiryDays))
}

// Policy returns what holds now, with its defaults.
func (s *Service) Policy(ctx context.Context) Policy {
	var p Policy
	if s.opts.Policy != nil {
		p = s.opts.Policy(ctx)
	}
	return p.Effective()
}
