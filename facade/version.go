package facade

// version is the version of the client in User-Agent and AV-Origin-Client. The service
// accepts one to three numbers of up to three digits, separated by dots.
const version = "0.1.0"
