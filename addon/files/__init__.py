"""Images and other files: which asset an address is, bytes off the wire into the media folder, thumbnails."""
