package lane

// Reason is the reason for which a connection goes to net/http.
type Reason int

// The reasons.
const (
	Other    Reason = iota // all that follows no other one, such as malformed heads and unusual methods or targets
	Protocol               // the handshake of TLS has failed, or led to HTTP/2 or another protocol
	Version                // HTTP/1.0, or HTTP/2 without TLS
	Body                   // Transfer-Encoding, Expect, TE or Trailer
	Upgrade                // Upgrade, or an unusual Connection
	Large                  // the head has more than 4 KiB
	Reasons                // the number of reasons
)

// String returns the name of a reason for metrics.
func (r Reason) String() string {
	return [Reasons]string{"other", "protocol", "version", "body", "upgrade", "large header"}[r]
}

// HandedOver returns the number of connections that went to net/http, for all reasons.
func (s Stats) HandedOver() (n uint64) {
	for _, count := range s.Left {
		n += count
	}
	return n
}
