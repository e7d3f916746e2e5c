// Package bench compares this module with other libraries and with handwritten
// code. It is a separate module because of the dependencies on other libraries.
//
// Each benchmark has variants, which are the columns of benchstat:
//   - via=floor is handwritten code,
//   - via=gen is the generated client,
//   - via=facade is this module,
//   - via=stripe and via=svix are the libraries of Stripe and Svix,
//   - via=hmac computes the HMAC of the signature only.
//
// The size directory has three versions of one program. Their binary sizes are
// compared.
package bench
