package facade

// SetLimits sets the limits of response bodies. Tests transfer kilobytes instead of
// megabytes.
func (c *Client) SetLimits(body, errorBody int64) {
	c.transport.MaxBody, c.transport.MaxErrorBody = body, errorBody
}
