"""The commands of `kirikae`, one module each; kirikae.cli names them."""
