package admin

import (
	"errors"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/schema"
)

const fieldDigest = "digest"

// blob sends a blob by its digest, or the range of it that the request names. The bytes are not checked: the client has
// the digest, and checks what has arrived.
func (h *Handler) blob(w http.ResponseWriter, r *http.Request) error {
	d, err := h.deployer()
	if err != nil {
		return err
	}
	in := bodilessFields(r, schema.Field{Name: fieldDigest, Type: schema.Text})
	digest, err := registry.ParseDigest(in.Text(fieldDigest))
	if err != nil {
		in.Violate(fieldDigest, "is %.80q: write it as sha256: and 64 lower-case hexadecimal digits", in.Text(fieldDigest))
	}
	if err := in.Err(); err != nil {
		return err
	}
	content, err := d.OpenBlob(r.Context(), digest)
	if errors.Is(err, registry.ErrBlobMissing) {
		return problem.New(problem.NotFound, "no blob of the catalogue has this digest").WithCause(err)
	}
	if err != nil {
		return err
	}
	defer content.Close() // opened for reading only
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("ETag", `"`+string(digest)+`"`)
	http.ServeContent(w, r, "", time.Time{}, content)
	return nil
}
