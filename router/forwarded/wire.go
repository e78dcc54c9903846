package forwarded

// Wire is a Client in a form for other hosts of the same catalogue.
type Wire struct {
	Peer    string `json:"peer,omitempty"`
	Remote  string `json:"remote,omitempty"`
	Scheme  string `json:"scheme,omitempty"`
	Host    string `json:"host,omitempty"`
	Port    string `json:"port,omitempty"`
	Prefix  string `json:"prefix,omitempty"`
	ID      string `json:"id,omitempty"`
	Trusted bool   `json:"trusted,omitempty"`
	Chain   string `json:"chain,omitempty"`
	Via     string `json:"via,omitempty"`
	Told    struct {
		Proto bool `json:"proto,omitempty"`
		Host  bool `json:"host,omitempty"`
	} `json:"told"`
}

// Wire returns the client for another host, with the id of the request.
func (c *Client) Wire(id string) Wire {
	w := Wire{
		Peer:    c.Peer,
		Remote:  c.Remote,
		Scheme:  c.Scheme,
		Host:    c.Host,
		Port:    c.Port,
		Prefix:  c.Prefix,
		ID:      id,
		Trusted: c.Trusted,
		Chain:   c.chain,
		Via:     c.via,
	}
	w.Told.Proto, w.Told.Host = c.proto, c.host
	return w
}

// Client returns the client that the other host has determined. It drops an id that is not fit for logs.
func (w *Wire) Client() Client {
	c := Client{
		Peer:    w.Peer,
		Remote:  w.Remote,
		Scheme:  w.Scheme,
		Host:    w.Host,
		Port:    w.Port,
		Prefix:  w.Prefix,
		Trusted: w.Trusted,
		chain:   w.Chain,
		via:     w.Via,
		proto:   w.Told.Proto,
		host:    w.Told.Host,
	}
	if validID(w.ID) {
		c.ID = w.ID
	}
	return c
}
