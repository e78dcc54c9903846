package queues

import "sync"

// Signals wakes callers that wait for requests or results. A signal without a waiting caller is dropped. The zero value is
// ready.
type Signals struct {
	mu      sync.Mutex
	queues  map[string]*signal // guarded by mu: by queue
	results map[string]*signal // guarded by mu: by id of the request
}

// signal is a channel with one place, and its users.
type signal struct {
	woken chan struct{}
	users int
}

// Requests returns a channel that gets an element when the queue may have requests. All callers share it: who takes an element
// and finds a request calls Wake, since there may be more. release must be called once.
func (s *Signals) Requests(queue string) (woken <-chan struct{}, release func()) {
	return s.wait(&s.queues, queue)
}

// Result is like Requests for the end of a request.
func (s *Signals) Result(id string) (woken <-chan struct{}, release func()) {
	return s.wait(&s.results, id)
}

func (s *Signals) wait(of *map[string]*signal, key string) (woken <-chan struct{}, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *of == nil {
		*of = make(map[string]*signal)
	}
	w := (*of)[key]
	if w == nil {
		w = &signal{woken: make(chan struct{}, 1)}
		(*of)[key] = w
	}
	w.users++
	return w.woken, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if w.users--; w.users == 0 {
			delete(*of, key)
		}
	}
}

// Wake signals that a queue may have requests.
func (s *Signals) Wake(queue string) { s.send(&s.queues, queue) }

// Ended signals the end of a request.
func (s *Signals) Ended(id string) { s.send(&s.results, id) }

func (s *Signals) send(of *map[string]*signal, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := (*of)[key]; w != nil {
		w.wake()
	}
}

// WakeAll signals everything, after signals may have been lost.
func (s *Signals) WakeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range [...]map[string]*signal{s.queues, s.results} {
		for _, w := range of {
			w.wake()
		}
	}
}

func (w *signal) wake() {
	select {
	case w.woken <- struct{}{}:
	default: // it has one already
	}
}
