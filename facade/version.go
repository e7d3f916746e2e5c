package facade

// version is what the client calls itself in User-Agent and AV-Origin-Client.
// The service reads one to three dot-separated numbers there, of up to three
// digits each, and nothing after them.
const version = "0.1.0"
