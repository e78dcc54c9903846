package peer

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// TestHurryBeforeEnter lets a blob in advance come first that is asked for before it waits for its turn.
func TestHurryBeforeEnter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{reserved: 1}
		hurried, patient := newTicket(), newTicket()
		q.hurry(hurried)
		for _, waiting := range []*ticket{patient, hurried} {
			go func() { _ = q.enter(t.Context(), waiting, true) }()
			synctest.Wait()
		}
		q.leave()
		synctest.Wait()
		select {
		case <-hurried.granted:
		default:
			require.Fail(t, "it waits behind blobs in advance")
		}
		q.leave()
		q.leave()
		<-patient.granted
	})
}
