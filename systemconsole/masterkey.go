package systemconsole

import (
	"context"
	"net/http"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/web"
)

const masterKeyPath = "/administration/master-key"

// Rotation is what a rotation of the master key did.
type Rotation struct {
	Rewrapped int `json:"rewrapped"` // data keys and secrets that the new master key wraps now
}

// rotateMasterKey makes another master key and brings everything under it. Cut
// off in the middle nothing is lost: the keys before still open what they
// wrapped, and the next rotation goes through everything again.
func (s *Server) rotateMasterKey(ctx context.Context) (Rotation, error) {
	var done Rotation
	rotator, ok := s.opts.Keeper.(seal.Rotator)
	if !ok {
		return done, problem.New(problem.Usage, "use a console with a key file, a Secret or a key management service", "the master key of this console cannot be rotated")
	}
	err := s.audit.Do(ctx, audit.Event{Action: "masterkey.rotate", Object: "MasterKey"}, func() error {
		if err := rotator.Rotate(ctx); err != nil {
			return err
		}
		for _, rewrap := range []func(context.Context) (int, error){s.tenants.Rewrap, s.auth.Rewrap, s.registries.Rewrap, s.settings.Rewrap} {
			n, err := rewrap(ctx)
			done.Rewrapped += n
			if err != nil {
				return err
			}
		}
		return nil
	})
	return done, err
}

func (s *Server) masterKeyPage(w http.ResponseWriter, r *http.Request) error {
	_, can := s.opts.Keeper.(seal.Rotator)
	return s.render(w, web.MasterKeyPage{Frame: s.inAdministration(r, "Master key", nil), Tabs: administrationTabs(masterKeyPath),
		May: can && mayChangeSettings(r)})
}

func (s *Server) rotateMasterKeyOnPage(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.rotateMasterKey(r.Context()); err != nil {
		return err
	}
	return seeNotice(w, r, masterKeyPath, noticeMasterKey)
}

func (s *Server) apiRotateMasterKey(r *http.Request, _ nothing) (Rotation, error) {
	return s.rotateMasterKey(r.Context())
}
