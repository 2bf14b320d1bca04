"""The program to improve: it is right, and wasteful."""

LOOK_BACK = 0  # how many of the newest bins may take another item
BY_SIZE = 0  # above 0: small items first; below 0: large items first


def pack(sizes):
    bins, room = [], []
    for item in sorted(range(len(sizes)), key=lambda item: BY_SIZE * sizes[item]):
        for number in range(max(0, len(bins) - LOOK_BACK), len(bins)):
            if room[number] >= sizes[item]:
                bins[number].append(item)
                room[number] -= sizes[item]
                break
        else:
            bins.append([item])
            room.append(100 - sizes[item])
    return bins
