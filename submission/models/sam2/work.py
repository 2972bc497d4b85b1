"""Calls of SAM 2: images, masks that are drawn, tracked frames by what they see; no torch."""

from submission.models.unit_calls import Calls, CallsAt, add_up, from_two, line, once

MANY = 4  # objects from which attention over memory runs on another kernel
PIXELS = (64, 128)  # sides of the square frames that are counted
Size = tuple[int, int]  # height and width of frames, pixels


def encode_images(images: int) -> Calls:
    """The image encoder over a batch of frames."""
    return line(lambda n: once("sam2", "images", n), 1, 2, images)


def draw(objects: int, size: Size) -> Calls:
    """Masks of a frame, from SAM 2's logits to bits."""
    return _of_frame("draw", objects, size)


def give(objects: int, size: Size) -> Calls:
    """A frame whose masks are given, and remembered."""
    return _of_frame("given", objects, size)


def track(frames: int, maps: int, pointers: int, prompted: int, objects: int) -> Calls:
    """Tracked frames, with all maps and pointers that they see, and the prompted frames' maps."""
    times = {"tracked": frames, "memory_map": maps, "pointer": pointers, "lay_out": prompted}
    return add_up(n * _of_objects(name, objects) for name, n in times.items())


def by_pixels(at: CallsAt, size: Size) -> Calls:
    """A straight line through two squares, by their pixels."""
    small, large = PIXELS
    share = (size[0] * size[1] - small**2) / (large**2 - small**2)
    return (1 - share) * at(small) + share * at(large)


def _of_frame(name: str, objects: int, size: Size) -> Calls:
    def counted(n: int) -> Calls:
        return by_pixels(lambda side: once("sam2", name, n, side, side), size)

    return from_two(counted, objects)


def _of_objects(name: str, objects: int) -> Calls:
    def at(n: int) -> Calls:
        return once("sam2", name, n)

    return line(at, MANY, MANY + 1, objects) if objects > MANY else at(objects)
