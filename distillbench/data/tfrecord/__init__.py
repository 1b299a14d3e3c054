"""TFRecord shards of frame features: framed, indexed, validated, read and written."""
