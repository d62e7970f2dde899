"""What every other part of RapidSeg shares: errors, label sets, model specifications and safe file writing."""
