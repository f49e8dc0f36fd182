"""The real-time side: image, kernel and links. Nothing outside this room touches a device."""
