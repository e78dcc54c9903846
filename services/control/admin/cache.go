package admin

import (
	"net/http"

	"github.com/vespo-dev/vespo/services/control/fields"
)

// purgedView is the answer to purge.
type purgedView struct {
	Prefix string `json:"prefix"`
	Match  string `json:"match,omitempty"`
	Purged int    `json:"purged"`
}

// purgeCache removes the kept answers of a service, of all its versions, on this host.
func (h *Handler) purgeCache(w http.ResponseWriter, r *http.Request) error {
	d, err := h.deployer()
	if err != nil {
		return err
	}
	f := bodilessFields(r, fields.KeyFields()...)
	key := f.Key()
	if err := f.Err(); err != nil {
		return err
	}
	v := purgedView{Prefix: string(key.Prefix), Match: key.Match.String()}
	err = h.audited(r, key.String(), func() (err error) {
		v.Purged, err = d.PurgeCache(key)
		return err
	})
	if err != nil {
		return err
	}
	return h.answer(w, http.StatusOK, v)
}
