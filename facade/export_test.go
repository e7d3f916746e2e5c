package facade

// SetLimits sets the limits of response bodies, so that a test does not need to
// transfer megabytes.
func (c *Client) SetLimits(body, errorBody int64) {
	c.transport.MaxBody, c.transport.MaxErrorBody = body, errorBody
}
