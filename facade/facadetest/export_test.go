package facadetest

// SetRecordLimits sets the limits of recorded requests and of the bytes of their
// bodies. It returns the limits before.
func (s *Server) SetRecordLimits(requests, bodies int) (oldRequests, oldBodies int) {
	oldRequests, oldBodies = s.requests.maxRequests, s.requests.maxBodies
	s.requests.maxRequests, s.requests.maxBodies = requests, bodies
	return oldRequests, oldBodies
}
