//! Fourier transforms on one convention: forward e^(−2πi s·r), unnormalised forward, 1/N inverse, origin at pixel N/2.
